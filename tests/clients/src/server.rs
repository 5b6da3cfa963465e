//! The servers in the pods: those of several languages and frameworks, each in its default set-up.
//!
//! Each answers `GET /` and `POST /` (or a mail) with `hello from ` and the name of its pod, most
//! of them after 20 ms of work, and shuts down on the signal that its image would be stopped with
//! as it likes to.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::{fmt, fs};

use anyhow::{Context as _, Result};
use ebb_api::connections::AtTimeout;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::client::Client;
use super::node::OWN;

/// What a client and a server speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    Http1,
    /// HTTP/2 without TLS, spoken without a word about it before.
    Http2,
    /// gRPC: the service `ebb.Clients` with `Hello`, and `Talk`, which answers each message of a
    /// stream. Messages are bytes.
    Grpc,
    /// WebSocket at `/ws`: each message is answered.
    WebSocket,
    /// HTTP/1.1 or HTTP/2 in TLS, as both sides like it.
    Https,
    /// SMTP, in which the server speaks first.
    Smtp,
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Server {
    /// The project's sample application: hyper.
    Sample,
    /// Go: net/http, and grpc-go.
    Go,
    /// nginx.
    Nginx,
    /// Node: its own http and http2, ws, and @grpc/grpc-js.
    Node,
    /// Python: aiohttp.
    Aiohttp,
    /// Python: uvicorn.
    Uvicorn,
    /// Python: hypercorn.
    Hypercorn,
    /// Python: grpcio.
    Grpcio,
    /// Go: net/http with TLS, which ends its connections with answers when it is stopped.
    GoTls,
    /// Python: uvicorn with TLS.
    UvicornTls,
    /// Python: aiosmtpd.
    Aiosmtpd,
    /// Node: ws and socket.io, for [`super::rejoin`] alone.
    Rejoin,
}

// === impl Server ===

impl Server {
    /// All that clients of [`Client`] talk with.
    pub const ALL: [Self; 11] = [
        Self::Sample,
        Self::Go,
        Self::Nginx,
        Self::Node,
        Self::Aiohttp,
        Self::Uvicorn,
        Self::Hypercorn,
        Self::Grpcio,
        Self::GoTls,
        Self::UvicornTls,
        Self::Aiosmtpd,
    ];

    /// Those that one of these clients can speak with.
    pub fn wanted_by(clients: &[Client]) -> Vec<Self> {
        let mut wanted = Self::ALL.to_vec();
        wanted.retain(|server| {
            let mut clients = clients.iter();
            clients.any(|client| server.port(client.protocol()).is_some())
        });
        wanted
    }

    /// What it speaks, and on which port.
    pub fn ports(self) -> &'static [(Protocol, u16)] {
        use Protocol::{Grpc, Http1, Http2, Https, Smtp, WebSocket};
        match self {
            Self::Sample => &[(Http1, 8080), (Http2, 8080)],
            Self::Go => &[(Http1, 8080), (Http2, 8080), (Grpc, 8082)],
            Self::Nginx => &[(Http1, 8080), (Http2, 8081)],
            Self::Node => &[
                (Http1, 8080),
                (Http2, 8081),
                (Grpc, 8082),
                (WebSocket, 8080),
            ],
            Self::Aiohttp | Self::Uvicorn => &[(Http1, 8080), (WebSocket, 8080)],
            // Not for WebSocket: it calls every Close of a client 1006, whatever that says.
            Self::Hypercorn => &[(Http1, 8080), (Http2, 8080)],
            Self::Grpcio => &[(Grpc, 8082)],
            Self::GoTls | Self::UvicornTls => &[(Https, 8443)],
            Self::Aiosmtpd => &[(Smtp, 2525)],
            Self::Rejoin => &[(WebSocket, 8080)],
        }
    }

    /// Where it listens in the pod with this address.
    pub fn addresses(self, pod: IpAddr) -> impl Iterator<Item = SocketAddr> {
        let ports = self.ports().iter();
        ports.map(move |(_, port)| SocketAddr::new(pod, *port))
    }

    /// Its ports that speak the PROXY protocol.
    pub fn proxy_protocol_ports(self) -> &'static [u16] {
        match self {
            Self::Nginx => &[8080],
            _ => &[],
        }
    }

    /// The port where it speaks a protocol, if it does.
    pub fn port(self, wanted: Protocol) -> Option<u16> {
        let mut ports = self.ports().iter();
        let (_, port) = ports.find(|(protocol, _)| *protocol == wanted)?;
        Some(*port)
    }

    /// What its pod's policy says of connections that are busy at the timeout, where there are any.
    pub fn at_timeout(self) -> Option<AtTimeout> {
        match self {
            Self::GoTls => Some(AtTimeout::Handover),
            Self::UvicornTls => Some(AtTimeout::Close),
            _ => None,
        }
    }

    /// The signal that asks it to shut down: the one that its image names, else SIGTERM.
    pub fn stop_signal(self) -> Signal {
        match self {
            Self::Nginx => Signal::QUIT,
            _ => Signal::TERM,
        }
    }

    /// The server as the app of a pod that is called `pod`.
    pub fn command(self, plan: &Plan, pod: &str) -> Result<Command> {
        let runtimes = &plan.runtimes;
        let mut command = match self {
            Self::Sample => {
                let mut command = Command::new(&plan.sample_app);
                command.args(["--http", "0.0.0.0:8080", "--delay-ms", "20"]);
                command
            }
            Self::Go => Command::new(runtimes.go_server()),
            Self::Nginx => nginx(plan, pod)?,
            Self::Node => runtimes.node("server.js"),
            Self::Aiohttp => runtimes.python("aiohttp_server.py"),
            Self::Uvicorn => {
                let mut command = runtimes.python_module("uvicorn");
                command.args(["asgi_app:app", "--host", "0.0.0.0", "--port", "8080"]);
                command
            }
            Self::Hypercorn => {
                let mut command = runtimes.python_module("hypercorn");
                command.args(["asgi_app:app", "--bind", "0.0.0.0:8080"]);
                command
            }
            Self::Grpcio => runtimes.python("grpcio_server.py"),
            Self::GoTls => {
                let mut command = Command::new(runtimes.go_server());
                command.arg(plan.certificates());
                command
            }
            Self::UvicornTls => {
                let mut command = runtimes.python_module("uvicorn");
                command.args(["asgi_app:app", "--host", "0.0.0.0", "--port", "8443"]);
                let file = |name| plan.certificates().join(name);
                command.arg("--ssl-certfile").arg(file("server.crt"));
                command.arg("--ssl-keyfile").arg(file("server.key"));
                command
            }
            Self::Rejoin => runtimes.node_rejoin("server.js"),
            Self::Aiosmtpd => {
                let mut command = runtimes.python_module("aiosmtpd");
                command.args(["--nosetuid", "--listen", "0.0.0.0:2525"]);
                command.args(["--class", "smtp_handler.Handler"]);
                command
            }
        };
        command.env("POD_NAME", pod);
        Ok(command)
    }
}

/// nginx with a configuration that is as short as it gets, in a folder of its own. Its HTTP/1 port
/// takes no connection without a header of the PROXY protocol, and no request of anybody but the
/// node's own clients.
fn nginx(plan: &Plan, pod: &str) -> Result<Command> {
    let folder = plan.scratch.join(format!("{pod}-files"));
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let configuration = format!(
        "daemon off; user root; pid nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    scgi_temp_path scgi; uwsgi_temp_path uwsgi;
    server {{
        listen 8080 proxy_protocol;
        if ($proxy_protocol_addr != {OWN}) {{ return 403; }}
        return 200 \"hello from {pod}\\n\";
    }}
    server {{
        listen 8081 http2;
        keepalive_requests 1000000;
        return 200 \"hello from {pod}\\n\";
    }}
}}
"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).with_context(|| format!("can't write {}", file.display()))?;
    let mut command = plan.runtimes.nginx();
    command.arg("-p").arg(&folder).arg("-c").arg(&file);
    Ok(command)
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
            Self::Go => "go",
            Self::Nginx => "nginx",
            Self::Node => "node",
            Self::Aiohttp => "aiohttp",
            Self::Uvicorn => "uvicorn",
            Self::Hypercorn => "hypercorn",
            Self::Grpcio => "grpcio",
            Self::GoTls => "go-tls",
            Self::UvicornTls => "uvicorn-tls",
            Self::Aiosmtpd => "aiosmtpd",
            Self::Rejoin => "rejoin",
        })
    }
}
