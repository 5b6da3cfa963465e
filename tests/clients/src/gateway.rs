//! Gateways: what stands between many people's clients and their pods, in the set-up that its
//! documents begin with but for one time. Each is a client of every service: it listens on a port
//! for each of them, forwards what comes there, and keeps connections to the pods as it likes to.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_netns::namespace::bare;
use serde_json::{Value, json};

use super::Plan;

/// The port of the first service at the first gateway; this network is nobody else's.
const FIRST_PORT: u16 = 9000;

/// Ports of one gateway, more than there are services.
const PORTS: u16 = 100;

/// How long a gateway keeps a connection that it does not use: less than the 5 s after which Node
/// and uvicorn close it themselves. A request that meets that close is lost, Ebb or not.
const IDLE_SECONDS: u32 = 4;

/// A program that forwards requests, and how it speaks with pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// nginx, a connection for each request: what it does when nothing is configured.
    Nginx,
    /// nginx, with connections that stay.
    NginxKept,
    /// nginx, by gRPC, with connections that stay.
    NginxGrpc,
    /// HAProxy, by HTTP/1.
    Haproxy,
    /// HAProxy, by HTTP/2.
    HaproxyHttp2,
    /// Envoy, by HTTP/1.
    Envoy,
    /// Envoy, by HTTP/2.
    EnvoyHttp2,
}

/// From the gateway's port to a service.
#[derive(Clone, Debug)]
struct Route {
    listen: SocketAddr,
    service: String,
}

// === impl Gateway ===

impl Gateway {
    /// The command that runs it before services of these addresses (`host:port`), and the addresses
    /// of its own for them, in their order.
    pub fn before(
        self,
        plan: &Plan,
        name: &str,
        services: &[String],
    ) -> Result<(Command, Vec<SocketAddr>)> {
        let folder = plan.scratch.join(format!("{name}-files"));
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        let first = FIRST_PORT + PORTS * self as u16;
        let route = |(port, service): (u16, &String)| Route {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            service: service.clone(),
        };
        let routes: Vec<Route> = (first..).zip(services).map(route).collect();
        let file = folder.join("configuration");
        fs::write(&file, self.configuration(&routes))
            .with_context(|| format!("can't write {}", file.display()))?;
        let listens = routes.iter().map(|route| route.listen).collect();
        Ok((self.command(plan, &folder, &file), listens))
    }

    fn command(self, plan: &Plan, folder: &Path, file: &Path) -> Command {
        let mut command = match self {
            Self::Nginx | Self::NginxKept | Self::NginxGrpc => {
                let mut command = plan.runtimes.nginx();
                command.arg("-p").arg(folder).arg("-c").arg(file);
                command
            }
            Self::Haproxy | Self::HaproxyHttp2 => {
                let mut command = Command::new(plan.gateways.debian("usr/sbin/haproxy"));
                bare(&mut command);
                command.env("LD_LIBRARY_PATH", plan.gateways.libraries());
                command.arg("-db").arg("-f").arg(file);
                command
            }
            Self::Envoy | Self::EnvoyHttp2 => {
                let mut command = Command::new(plan.gateways.envoy());
                bare(&mut command);
                command.args(["--disable-hot-restart", "--concurrency", "1"]);
                command.args(["--log-level", "warning", "--config-path"]);
                command.arg(file);
                command
            }
        };
        command.current_dir(folder);
        command
    }

    fn configuration(self, routes: &[Route]) -> String {
        let kept = format!("keepalive 32; keepalive_timeout {IDLE_SECONDS}s;");
        match self {
            Self::Nginx => nginx(routes, "", "", ["", "proxy_pass http"]),
            Self::NginxKept => nginx(
                routes,
                &kept,
                "proxy_http_version 1.1; proxy_set_header Connection \"\";",
                ["", "proxy_pass http"],
            ),
            Self::NginxGrpc => nginx(routes, &kept, "", ["http2", "grpc_pass grpc"]),
            Self::Haproxy => haproxy(routes, ""),
            Self::HaproxyHttp2 => haproxy(routes, "proto h2"),
            Self::Envoy => envoy(routes, "http_protocol_options").to_string(),
            Self::EnvoyHttp2 => envoy(routes, "http2_protocol_options").to_string(),
        }
    }
}

/// `upstream` and `location` are directives of these two; the last are an option of the port, and
/// the directive with the scheme that leads to the upstream.
fn nginx(routes: &[Route], upstream: &str, location: &str, [option, pass]: [&str; 2]) -> String {
    let mut text = "daemon off; user root; pid nginx.pid; error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    scgi_temp_path scgi; uwsgi_temp_path uwsgi;
"
    .to_owned();
    for (number, Route { listen, service }) in routes.iter().enumerate() {
        writeln!(
            text,
            "    upstream service{number} {{ server {service}; {upstream} }}
    server {{
        listen {listen} {option};
        location / {{ {pass}://service{number}; {location} }}
    }}"
        )
        .expect("a String takes everything");
    }
    text.push_str("}\n");
    text
}

fn haproxy(routes: &[Route], option: &str) -> String {
    let mut text = "defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
"
    .to_owned();
    for (number, Route { listen, service }) in routes.iter().enumerate() {
        writeln!(
            text,
            "listen service{number}\n    bind {listen}\n    server service {service} pool-purge-delay 1s {option}"
        )
        .expect("a String takes everything");
    }
    text
}

fn envoy(routes: &[Route], protocol: &str) -> Value {
    let numbered = || routes.iter().enumerate();
    let listeners: Vec<Value> = numbered()
        .map(|(number, route)| {
            json!({
                "name": format!("service{number}"),
                "address": address(&route.listen.to_string()),
                "filter_chains": [{"filters": [manager(number)]}],
            })
        })
        .collect();
    let clusters: Vec<Value> = numbered()
        .map(|(number, route)| cluster(number, &route.service, protocol))
        .collect();
    json!({"static_resources": {"listeners": listeners, "clusters": clusters}})
}

fn manager(number: usize) -> Value {
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": format!("service{number}"),
            "route_config": {"virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": format!("service{number}")}}],
            }]},
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                },
            }],
        },
    })
}

fn cluster(number: usize, service: &str, protocol: &str) -> Value {
    json!({
        "name": format!("service{number}"),
        "type": "STATIC",
        "load_assignment": {"cluster_name": format!("service{number}"), "endpoints": [{
            "lb_endpoints": [{"endpoint": {"address": address(service)}}],
        }]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": format!("{IDLE_SECONDS}s")},
                "explicit_http_config": {(protocol): {}},
            },
        },
    })
}

fn address(of: &str) -> Value {
    let (host, port) = of.rsplit_once(':').unwrap_or((of, "80"));
    json!({"socket_address": {"address": host, "port_value": port.parse::<u16>().unwrap_or(80)}})
}
