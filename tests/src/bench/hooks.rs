//! The preStop hooks of the pod, called as kubelet calls them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ebb_api::names::{ADMIN_PORT, SIDECAR_CONTAINER, TOKEN_HEADER};

use super::load::blocking::connect;
use super::place::Place;

/// The app's container.
pub const APP: &str = "app";

/// What the sidecar takes for kubelet's.
pub const TOKEN: &str = "benchmark";

/// Calls of all hooks of the pod, which are held until its drain ends.
#[derive(Debug)]
pub struct Held(Vec<TcpStream>);

/// Begins a drain: kubelet calls the hooks of all containers when the pod goes. Runs in the load's
/// network.
pub fn call_all() -> Result<Held> {
    let calls = [APP, SIDECAR_CONTAINER].map(|container| -> Result<TcpStream> {
        let mut stream = connect(Place::address(ADMIN_PORT))?;
        let request = format!(
            "GET /hook/{container} HTTP/1.1\r\nhost: pod\r\n{TOKEN_HEADER}: {TOKEN}\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    });
    let calls: Result<Vec<_>> = calls.into_iter().collect();
    calls.map(Held).context("can't call the hooks")
}

// === impl Held ===

impl Held {
    /// Waits until all are answered; returns when the last was.
    pub fn answered(mut self) -> Result<Instant> {
        for stream in &mut self.0 {
            let mut answer = [0; 512];
            let read = stream
                .read(&mut answer)
                .context("a hook was not answered")?;
            let answer = String::from_utf8_lossy(&answer[..read]);
            ensure!(
                answer.starts_with("HTTP/1.1 200"),
                "a hook was answered {answer:?}"
            );
        }
        Ok(Instant::now())
    }
}
