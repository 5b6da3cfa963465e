//! A network namespace of its own, for as long as somebody holds it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::command;
use super::process::{Identity, enter, wait_for};

/// A network exists as long as a process is in it: this one, which does nothing else and ends when
/// this is dropped.
#[derive(Debug)]
pub struct Holder {
    process: Child,
    identity: Identity,
}

// === impl Holder ===

impl Holder {
    /// Makes a network in which nothing is but a loopback interface that is down.
    pub fn make() -> Result<Self> {
        let process = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .context("can't start unshare")?;
        let pid = i32::try_from(process.id()).context("a process number does not fit")?;
        let own = network_of("self");
        let identity = wait_for("a network namespace", Duration::from_secs(5), || {
            let entered = network_of(&pid.to_string()).filter(|found| Some(found) != own.as_ref());
            Ok(entered.and_then(|_| Identity::of(pid)))
        })?;
        Ok(Self { process, identity })
    }

    /// The process that is in it.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Runs a line of shell in it.
    pub fn shell(&self, line: &str) -> Result<()> {
        command::run(enter(self.identity, &["--net"]).args(["sh", "-c", line])).map(drop)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about either.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn network_of(process: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/net")).ok()
}
