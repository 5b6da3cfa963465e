//! HAProxy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{PORT, Protocol};
use crate::bench::backend;
use crate::bench::isolate::file_limit;
use crate::bench::place::Place;
use crate::bench::programs::Programs;

/// Lines that choose the mode.
pub(super) const TCP: &str = "mode tcp";
pub(super) const SPLICE: &str = "mode tcp\n  option splice-auto";
pub(super) const HTTP: &str = "mode http";

/// Pipes to splice through, each with two open files; one would do here.
const PIPES: usize = 16;

/// HAProxy's own open files beside two for each connection, those pipes included.
const OWN_FILES: usize = 100;

pub(super) fn add(
    command: &mut Command,
    folder: &Path,
    programs: &Programs,
    mode: &str,
    protocol: Protocol,
) -> Result<()> {
    let file = folder.join("haproxy.cfg");
    fs::write(&file, configure(mode, protocol))?;
    command
        .arg("env")
        .arg(format!("LD_LIBRARY_PATH={}", programs.libraries()))
        .arg(programs.debian("usr/sbin/haproxy"))
        .arg("-db")
        .arg("-f")
        .arg(&file);
    Ok(())
}

fn configure(mode: &str, protocol: Protocol) -> String {
    let protocol_of_http = match (mode, protocol) {
        (HTTP, Protocol::Http2) => " proto h2",
        _ => "",
    };
    let listen = Place::address(PORT);
    let app = Place::address(backend::port(protocol));
    let connections = (file_limit().saturating_sub(OWN_FILES) / 2).min(20_000);
    format!(
        "global
  nbthread 1
  maxconn {connections}
  maxpipes {PIPES}
defaults
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  {mode}
listen app
  bind {listen} backlog 4096{protocol_of_http}
  server app {app}{protocol_of_http}
"
    )
}
