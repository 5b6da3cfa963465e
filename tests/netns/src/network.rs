//! A network namespace that lives as long as a value.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command;
use crate::eventually;
use crate::namespace::{Namespace, append, bare, nsenter};

/// A network exists as long as a process is in it: one that does nothing else, and ends when this
/// is dropped or when our own process ends in any way.
#[derive(Debug)]
pub struct Network {
    holder: Child,
    namespace: Namespace,
}

// === impl Network ===

impl Network {
    /// Makes a network that has a loopback interface, which is up, and no other.
    ///
    /// # Errors
    ///
    /// This is not root, or there is no `unshare` or no `ip`.
    pub fn make() -> Result<Self> {
        // It ends with its stdin, which is a pipe from us.
        let mut holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("can't start unshare")?;
        let pid = holder.id().to_string();
        let ours = network_of("thread-self");
        eventually("a network namespace", Duration::from_secs(5), || {
            if let Some(status) = holder.try_wait()? {
                anyhow::bail!("unshare ended: {status}: is this root?");
            }
            let entered = network_of(&pid).filter(|found| Some(found) != ours.as_ref());
            Ok(entered.map(drop))
        })?;
        let network = Self {
            namespace: Namespace::of(holder.id())?,
            holder,
        };
        network.ip("link set lo up")?;
        Ok(network)
    }

    /// The number of the process that holds it, as `ip link … netns` wants it.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A handle to it, for threads.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A program in it, whose arguments follow; of our environment it has `PATH` alone. The process
    /// that is started becomes that program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.entered(&Command::new(program))
    }

    /// The same command in it, with the variables that are set on the command and no others but
    /// `PATH`.
    pub fn entered(&self, command: &Command) -> Command {
        let mut entered = nsenter(self.pid(), &["--net"]);
        bare(&mut entered);
        entered.arg("--");
        append(&mut entered, command);
        entered
    }

    /// Runs `ip` in it, with arguments that are separated by spaces, and returns what it prints.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        command::run(self.command("ip").args(arguments.split(' ')))
    }

    /// Writes a kernel setting of this network: a path below `/proc/sys`, such as
    /// `net/ipv4/ip_local_port_range`.
    pub fn set(&self, setting: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{setting}");
        self.namespace.inside(|| {
            std::fs::write(&path, value).with_context(|| format!("can't write {value} to {path}"))
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about either.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn network_of(process: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/net")).ok()
}
