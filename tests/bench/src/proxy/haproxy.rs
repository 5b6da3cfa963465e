//! HAProxy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{PORT, Protocol};
use crate::backend;
use crate::isolate::file_limit;
use crate::programs::Programs;
use crate::topology::Topology;

/// How it forwards, and which HAProxy it is.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    /// The lines that choose it.
    lines: &'static str,
    forwards_requests: bool,
    series_3: bool,
}

pub(super) const TCP: Mode = Mode {
    lines: "mode tcp",
    forwards_requests: false,
    series_3: false,
};
pub(super) const SPLICE: Mode = Mode {
    lines: "mode tcp\n  option splice-auto",
    ..TCP
};
pub(super) const HTTP: Mode = Mode {
    lines: "mode http",
    forwards_requests: true,
    series_3: false,
};

/// The port on which it answers by itself, as its statistics page would be.
pub(super) const OWN_PORT: u16 = 9081;

/// Pipes to splice through, each with two open files; one would do here.
const PIPES: usize = 16;

/// HAProxy's own open files beside two for each connection, those pipes included.
const OWN_FILES: usize = 100;

impl Mode {
    pub(super) fn of_series_3(self) -> Self {
        Self {
            series_3: true,
            ..self
        }
    }

    pub(super) fn add(
        self,
        command: &mut Command,
        folder: &Path,
        programs: &Programs,
        protocol: Protocol,
    ) -> Result<()> {
        let file = folder.join("haproxy.cfg");
        fs::write(&file, self.configure(protocol))?;
        if self.series_3 {
            command.args(programs.proxies.haproxy3());
        } else {
            command
                .arg("env")
                .arg(format!("LD_LIBRARY_PATH={}", programs.proxies.libraries()))
                .arg(programs.proxies.debian("usr/sbin/haproxy"));
        }
        command.arg("-db").arg("-f").arg(&file);
        Ok(())
    }

    fn configure(self, protocol: Protocol) -> String {
        let protocol_of_http = match protocol {
            Protocol::Http2 if self.forwards_requests => " proto h2",
            _ => "",
        };
        let mode = self.lines;
        let listen = Topology::address(PORT);
        let own = Topology::address(OWN_PORT);
        let app = Topology::address(backend::port(protocol));
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
frontend own
  mode http
  bind {own}
  http-request return status 200 content-type text/plain string ok
listen app
  bind {listen} backlog 4096{protocol_of_http}
  server app {app}{protocol_of_http}
"
        )
    }
}
