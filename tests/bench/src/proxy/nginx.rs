//! nginx. It is one process: what its master process does is not asked for here, and would count
//! the shared memory twice.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{PORT, Protocol};
use crate::backend;
use crate::programs::Programs;
use crate::topology::Topology;

pub(super) fn add_stream(
    command: &mut Command,
    folder: &Path,
    programs: &Programs,
    protocol: Protocol,
) -> Result<()> {
    let module = programs
        .proxies
        .debian("usr/lib/nginx/modules/ngx_stream_module.so");
    let text = format!(
        "load_module {};\n{}stream {{
  server {{ listen {} backlog=4096; proxy_pass {}; proxy_timeout 1h; tcp_nodelay on; }}
}}
",
        module.display(),
        common(folder),
        Topology::address(PORT),
        Topology::address(backend::port(protocol)),
    );
    add(command, folder, programs, &text)
}

/// It speaks HTTP/2 to clients only; to the app it is always HTTP/1.
pub(super) fn add_http(
    command: &mut Command,
    folder: &Path,
    programs: &Programs,
    protocol: Protocol,
) -> Result<()> {
    let http2 = match protocol {
        Protocol::Http1 => "",
        Protocol::Http2 => " http2",
    };
    let temporary = folder.display();
    let text = format!(
        "{}http {{
  access_log off; tcp_nodelay on;
  keepalive_timeout 1h; keepalive_requests 1000000000; keepalive_time 1h;
  client_body_temp_path {temporary}/a; proxy_temp_path {temporary}/b; fastcgi_temp_path {temporary}/c;
  uwsgi_temp_path {temporary}/d; scgi_temp_path {temporary}/e;
  upstream app {{ server {}; keepalive 256; keepalive_requests 1000000000; keepalive_time 1h; }}
  server {{
    listen {}{http2} backlog=4096;
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_max_temp_file_size 0;
    }}
  }}
}}
",
        common(folder),
        Topology::address(backend::HTTP1_PORT),
        Topology::address(PORT),
    );
    add(command, folder, programs, &text)
}

fn common(folder: &Path) -> String {
    format!(
        "daemon off; master_process off; pid {}/nginx.pid; error_log stderr;
events {{ worker_connections 20000; }}
",
        folder.display()
    )
}

fn add(command: &mut Command, folder: &Path, programs: &Programs, text: &str) -> Result<()> {
    let file = folder.join("nginx.conf");
    fs::write(&file, text)?;
    command
        .arg("env")
        .arg(format!("LD_LIBRARY_PATH={}", programs.proxies.libraries()))
        .arg(programs.proxies.debian("usr/sbin/nginx"))
        .arg("-e")
        .arg("stderr")
        .arg("-c")
        .arg(&file);
    Ok(())
}
