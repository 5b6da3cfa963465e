//! A process with a log of its own, and an end.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;
use crate::explain;

/// How long a program may take to start, on a computer that is busy.
pub const START: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A process that ends with this value, if not before.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    /// Starts `command`; what it says goes to `folder`/`name`.log.
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

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the telling lines of its log if it has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}{}", self.name, self.explanation()),
        }
    }

    /// Waits until it takes connections at `address`, for at most `limit`.
    pub fn listening(&mut self, address: SocketAddr, limit: Duration) -> Result<()> {
        let connected = || {
            self.still_runs()?;
            Ok(TcpStream::connect_timeout(&address, CONNECT).ok())
        };
        let waited = eventually(&format!("{address} to take connections"), limit, connected);
        waited
            .map(drop)
            .with_context(|| format!("{} does not serve{}", self.name, self.explanation()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("can't signal {}", self.name))
    }

    /// Waits for its end, for at most `limit`.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        eventually(&what, limit, || Ok(self.child.try_wait()?)).with_context(|| self.explanation())
    }

    /// What it has said, as far as it can be read.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
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

/// The resident memory of a process, in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    parse_resident(&text).with_context(|| format!("{path} has no VmRSS"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes become bytes; a kernel thread has no such line.
    #[test]
    fn resident_memory_is_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    9999 kB\nVmRSS:\t    3700 kB\n";
        assert_eq!(parse_resident(status), Some(3700 * 1024));
        assert_eq!(parse_resident("Name:\tkthreadd\n"), None);
    }
}
