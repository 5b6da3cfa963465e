//! The app that the proxies forward to: nginx with a short answer and a long one, by HTTP/1 and
//! HTTP/2.

use std::fs::{self, File};

use anyhow::{Context as _, Result};
use ebb_netns::process::Process;

use super::programs::Programs;
use super::proxy::{PATIENCE, Protocol};
use super::topology::{Role, Topology};

/// HTTP/1.
pub const HTTP1_PORT: u16 = 8080;
/// HTTP/2 without TLS, with prior knowledge.
pub const HTTP2_PORT: u16 = 8082;

/// A short answer: what an API call returns.
pub const SHORT: &str = "/";
/// A long answer of [`LONG_BYTES`].
pub const LONG: &str = "/long";
/// One gibibyte.
pub const LONG_BYTES: u64 = 1 << 30;

/// The short answer's body.
const BODY: &str = "It is served by the app behind the proxy, and it is about a hundred bytes long, as small answers are.";

/// The port that speaks this protocol.
pub fn port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Http1 => HTTP1_PORT,
        Protocol::Http2 => HTTP2_PORT,
    }
}

/// Starts it and waits until it answers.
pub fn start(topology: &Topology, programs: &Programs) -> Result<Process> {
    let folder = topology.folder().join("backend");
    let files = folder.join("files");
    fs::create_dir_all(&files)?;
    // A file without blocks: it reads as zeros, and takes no disk.
    File::create(files.join("long"))?
        .set_len(LONG_BYTES)
        .context("can't make a file of 1 GiB")?;
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, configure(&folder.display().to_string()))?;
    let mut nginx = topology.command(Role::Backend, programs.proxies.debian("usr/sbin/nginx"));
    nginx
        .env("LD_LIBRARY_PATH", programs.proxies.libraries())
        .arg("-e")
        .arg("stderr")
        .arg("-c")
        .arg(&configuration);
    nginx.current_dir(topology.folder());
    let mut process = Process::start(nginx, "backend", topology.folder())?;
    let address = Topology::address(HTTP1_PORT);
    topology.inside(Role::Load, || process.listening(address, PATIENCE))?;
    Ok(process)
}

fn configure(folder: &str) -> String {
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 19000; accept_mutex off; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; default_type text/plain;
  keepalive_timeout 1h; keepalive_requests 1000000000; keepalive_time 1h; http2_max_concurrent_streams 256;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen {HTTP1_PORT} backlog=4096;
    listen {HTTP2_PORT} http2 backlog=4096;
    location = {LONG} {{ root {folder}/files; }}
    location / {{ return 200 \"{BODY}\"; }}
  }}
}}
"
    )
}
