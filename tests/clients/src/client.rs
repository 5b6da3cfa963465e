//! The client programs, in `tests/clients/`: each talks with every service that speaks its
//! protocol, as its library does when nothing is configured, without retries of its own.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::gateway::Gateway;
use super::server::Protocol;

/// What tells curl, requests, OpenSSL (httpx) and Node whom to believe beside those that they know.
const AUTHORITY_VARIABLES: [&str; 4] = [
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
];

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// curl: one process with an endless list of POSTs. With HTTP/1 only: the 7.88 of Debian 12
    /// can't use a connection twice that speaks HTTP/2 without TLS, whoever the server is.
    Curl,
    /// Python: requests, with a `Session`.
    Requests,
    /// Python: httpx, with a `Client`.
    Httpx,
    /// Python: httpx with HTTP/2, one request after the other.
    HttpxHttp2,
    /// Python: aiohttp, with a `ClientSession`.
    Aiohttp,
    /// Python: grpcio, unary calls and streams in both directions.
    Grpcio,
    /// Python: websockets.
    Websockets,
    /// Node: its own http, with the global agent.
    NodeHttp,
    /// Node: undici's `request`.
    Undici,
    /// Node: undici with HTTP/2, one request after the other.
    UndiciHttp2,
    /// Node: ws.
    Ws,
    /// Node: @grpc/grpc-js, unary calls and streams in both directions.
    GrpcJs,
    /// Go: net/http with HTTP/2 and bodies that can't be sent twice, one request after the other.
    GoHttp2,
    /// Java: the JDK's own `HttpClient`, which asks for HTTP/2 by an upgrade of HTTP/1.
    Jdk,
    /// Java: OkHttp.
    Okhttp,
    /// Java: OkHttp with HTTP/2, one request after the other.
    OkhttpHttp2,
    /// Java: reactor-netty.
    ReactorNetty,
    /// Java: reactor-netty with HTTP/2, one request after the other.
    ReactorNettyHttp2,
    /// nginx as a gateway: a connection for each request.
    Nginx,
    /// nginx as a gateway, with connections that stay.
    NginxKept,
    /// nginx as a gateway for gRPC, with connections that stay.
    NginxGrpc,
    /// HAProxy as a gateway.
    Haproxy,
    /// HAProxy as a gateway that speaks HTTP/2 with pods.
    HaproxyHttp2,
    /// Envoy as a gateway.
    Envoy,
    /// Envoy as a gateway that speaks HTTP/2 with pods.
    EnvoyHttp2,
    /// curl with TLS, by HTTP/2 where the server likes it: one process with an endless list of
    /// POSTs.
    CurlTls,
    /// curl with TLS: a process, and a connection, for each POST.
    CurlFreshTls,
    /// Python: requests with TLS.
    RequestsTls,
    /// Python: requests with TLS and pauses that are longer than the silence after which a leaving
    /// pod closes its connection.
    RequestsRestingTls,
    /// Python: httpx with TLS.
    HttpxTls,
    /// Node: its own https, with the global agent.
    NodeHttps,
    /// Node: undici's `request` with TLS.
    UndiciTls,
    /// Python: smtplib.
    Smtplib,
}

// === impl Client ===

impl Client {
    /// All of them, those of one run each: libraries, Java's, gateways, and what speaks TLS or
    /// SMTP. Two cores don't carry all at once, and a client that waits for a CPU proves nothing.
    pub fn rounds() -> [Vec<Self>; 4] {
        let round = |client: Self| match client.protocol() {
            _ if client.is_java() => 1,
            _ if client.gateway().is_some() => 2,
            Protocol::Https | Protocol::Smtp => 3,
            Protocol::Http1 | Protocol::Http2 | Protocol::Grpc | Protocol::WebSocket => 0,
        };
        let all = Self::value_variants().iter().copied();
        [0, 1, 2, 3].map(|number| {
            all.clone()
                .filter(|client| round(*client) == number)
                .collect()
        })
    }

    /// What it speaks.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Curl | Self::Requests | Self::Httpx | Self::Aiohttp => Protocol::Http1,
            Self::NodeHttp | Self::Undici => Protocol::Http1,
            Self::HttpxHttp2 | Self::UndiciHttp2 => Protocol::Http2,
            Self::GoHttp2 | Self::HaproxyHttp2 | Self::EnvoyHttp2 => Protocol::Http2,
            Self::Jdk | Self::Okhttp | Self::ReactorNetty => Protocol::Http1,
            Self::OkhttpHttp2 | Self::ReactorNettyHttp2 => Protocol::Http2,
            Self::Nginx | Self::NginxKept | Self::Haproxy | Self::Envoy => Protocol::Http1,
            Self::Grpcio | Self::GrpcJs | Self::NginxGrpc => Protocol::Grpc,
            Self::Websockets | Self::Ws => Protocol::WebSocket,
            Self::CurlTls | Self::CurlFreshTls => Protocol::Https,
            Self::RequestsTls | Self::RequestsRestingTls | Self::HttpxTls => Protocol::Https,
            Self::NodeHttps | Self::UndiciTls => Protocol::Https,
            Self::Smtplib => Protocol::Smtp,
        }
    }

    fn is_java(self) -> bool {
        use Client::{Jdk, Okhttp, OkhttpHttp2, ReactorNetty, ReactorNettyHttp2};
        matches!(
            self,
            Jdk | Okhttp | OkhttpHttp2 | ReactorNetty | ReactorNettyHttp2
        )
    }

    /// True if it keeps a connection that nobody can tell it to leave, and is idle on it for less
    /// than [`super::policy`] says.
    pub fn keeps_tls_busy(self) -> bool {
        self.protocol() == Protocol::Https && !self.rests() && self != Self::CurlFreshTls
    }

    /// True if it keeps a connection that is closed while it rests: a request may cross that.
    pub fn rests(self) -> bool {
        self == Self::RequestsRestingTls
    }

    /// The gateway that stands before the services, where this is one.
    pub fn gateway(self) -> Option<Gateway> {
        match self {
            Self::Nginx => Some(Gateway::Nginx),
            Self::NginxKept => Some(Gateway::NginxKept),
            Self::NginxGrpc => Some(Gateway::NginxGrpc),
            Self::Haproxy => Some(Gateway::Haproxy),
            Self::HaproxyHttp2 => Some(Gateway::HaproxyHttp2),
            Self::Envoy => Some(Gateway::Envoy),
            Self::EnvoyHttp2 => Some(Gateway::EnvoyHttp2),
            _ => None,
        }
    }

    /// Its program, without the addresses.
    pub fn command(self, plan: &Plan) -> Command {
        let runtimes = &plan.runtimes;
        let with = |mut command: Command, argument: &str| {
            command.arg(argument);
            command
        };
        let mut command = match self {
            Self::Curl | Self::CurlTls => runtimes.python("curl_client.py"),
            Self::CurlFreshTls => runtimes.python("curl_fresh_client.py"),
            Self::Requests | Self::RequestsTls => runtimes.python("requests_client.py"),
            Self::RequestsRestingTls => with(runtimes.python("requests_client.py"), "--resting"),
            Self::Httpx | Self::HttpxTls => runtimes.python("httpx_client.py"),
            Self::HttpxHttp2 => with(runtimes.python("httpx_client.py"), "--http2"),
            Self::Aiohttp => runtimes.python("aiohttp_client.py"),
            Self::Grpcio | Self::NginxGrpc => runtimes.python("grpcio_client.py"),
            Self::GoHttp2 => Command::new(runtimes.go_client()),
            Self::Websockets => runtimes.python("websockets_client.py"),
            Self::NodeHttp | Self::NodeHttps => runtimes.node("http_client.js"),
            Self::Undici | Self::UndiciTls => runtimes.node("undici_client.js"),
            Self::UndiciHttp2 => with(runtimes.node("undici_client.js"), "--http2"),
            Self::Jdk | Self::Okhttp | Self::OkhttpHttp2 => runtimes.java(&self.to_string()),
            Self::ReactorNetty | Self::ReactorNettyHttp2 => runtimes.java(&self.to_string()),
            Self::Smtplib => runtimes.python("smtp_client.py"),
            Self::Ws => runtimes.node("ws_client.js"),
            Self::GrpcJs => runtimes.node("grpc_client.js"),
            Self::Nginx
            | Self::NginxKept
            | Self::Haproxy
            | Self::HaproxyHttp2
            | Self::Envoy
            | Self::EnvoyHttp2 => runtimes.python("gateway_client.py"),
        };
        if matches!(self, Self::Curl | Self::CurlTls | Self::CurlFreshTls) {
            command
                .env("CURL", runtimes.curl())
                .env("CURL_LIBRARIES", runtimes.libraries());
        }
        if self.protocol() == Protocol::Https {
            let authority = plan.certificates().join("ca.crt");
            command.envs(AUTHORITY_VARIABLES.map(|name| (name, &authority)));
        }
        command
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// The folder of the programs.
pub fn programs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No round is empty, and each client is in one of them.
    #[test]
    fn everybody_has_a_round() {
        let rounds = Client::rounds();
        assert!(rounds.iter().all(|round| !round.is_empty()));
        let all = Client::value_variants();
        let number = |client| rounds.iter().flatten().filter(|it| *it == client).count();
        assert!(all.iter().all(|client| number(client) == 1));
    }
}
