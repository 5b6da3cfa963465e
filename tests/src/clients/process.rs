//! A process of a pod, or a client: with a log of its own, and an end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::server::Server;
use crate::bed::process::{explain, wait_for};

/// How long a program may take to start, on a computer that is busy.
pub const START: Duration = Duration::from_secs(60);

/// A process that ends with this value, if not before.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    /// Starts it with an environment of its own: `PATH`, and what the command sets. What it says goes
    /// to `folder`/`name`.log.
    pub fn start(mut command: Command, name: &str, folder: &Path) -> Result<Self> {
        let (log, file) = Self::log(name, folder)?;
        let output = file.try_clone()?;
        Self::spawn(command.stdout(output).stderr(file), name, log)
    }

    /// The same, with its output returned and only its errors in the log.
    pub fn start_and_read(
        mut command: Command,
        name: &str,
        folder: &Path,
    ) -> Result<(Self, ChildStdout)> {
        let (log, file) = Self::log(name, folder)?;
        let mut process = Self::spawn(command.stdout(Stdio::piped()).stderr(file), name, log)?;
        let output = process.child.stdout.take();
        Ok((process, output.context("the output was asked for")?))
    }

    fn log(name: &str, folder: &Path) -> Result<(PathBuf, File)> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        Ok((log, file))
    }

    fn spawn(command: &mut Command, name: &str, log: PathBuf) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Fails with the telling lines of its log if it has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}{}", self.name, self.explanation()),
        }
    }

    /// Waits until this server takes connections on all its ports.
    pub fn listening(&mut self, address: Ipv4Addr, server: Server) -> Result<()> {
        for (_, port) in server.ports() {
            let address = SocketAddr::from((address, *port));
            let connected = || {
                self.still_runs()?;
                Ok(TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok())
            };
            let what = format!("{address} to take connections");
            let waited = wait_for(&what, START, connected);
            waited
                .with_context(|| format!("{} does not serve{}", self.name, self.explanation()))?;
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process number does not fit")?;
        kill_process(pid, signal).with_context(|| format!("can't signal {}", self.name))
    }

    /// Waits for its end.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || Ok(self.child.try_wait()?)).with_context(|| self.explanation())
    }

    /// What it has said, as far as it can be read.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The telling lines of its log, made to follow a sentence.
    pub fn explanation(&self) -> String {
        explain::of_log(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
