//! Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::{PORT, Protocol};
use crate::backend;
use crate::programs::Programs;
use crate::topology::Topology;

/// What it forwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Tcp,
    Http,
}

pub(super) fn add(
    command: &mut Command,
    folder: &Path,
    programs: &Programs,
    mode: Mode,
    protocol: Protocol,
) -> Result<()> {
    let file = folder.join("envoy.json");
    fs::write(&file, configure(mode, protocol).to_string())?;
    command
        .arg(programs.proxies.envoy())
        .args(["--concurrency", "1", "--disable-hot-restart"])
        .args(["--log-level", "error", "--config-path"])
        .arg(&file);
    Ok(())
}

fn configure(mode: Mode, protocol: Protocol) -> Value {
    let filter = match mode {
        Mode::Tcp => tcp_filter(),
        Mode::Http => http_filter(),
    };
    let mut cluster = json!({
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": 1_000_000,
            "max_pending_requests": 1_000_000,
            "max_requests": 1_000_000,
        }]},
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [{
            "endpoint": {"address": address(Topology::address(backend::port(protocol)))},
        }]}]},
    });
    if mode == Mode::Http && protocol == Protocol::Http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        });
    }
    json!({"static_resources": {
        "listeners": [{
            "name": "listener",
            "address": address(Topology::address(PORT)),
            "filter_chains": [{"filters": [filter]}],
        }],
        "clusters": [cluster],
    }})
}

fn tcp_filter() -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "app",
            "cluster": "app",
        },
    })
}

fn http_filter() -> Value {
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "app",
            "codec_type": "AUTO",
            "route_config": {"virtual_hosts": [{
                "name": "app",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "0s"}}],
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

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
