//! Network namespaces, entered by threads and by programs.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A handle to a network namespace: it keeps the namespace alive, and clones share it.
#[derive(Clone, Debug)]
pub struct Namespace {
    file: Arc<File>,
    path: String,
}

// === impl Namespace ===

impl Namespace {
    /// The network of a process.
    ///
    /// # Errors
    ///
    /// There is no such process, or it may not be looked at.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        let file =
            File::open(&path).with_context(|| format!("can't open {path}: is this root?"))?;
        Ok(Self {
            file: Arc::new(file),
            path,
        })
    }

    /// Moves this thread into the namespace. Every socket that it opens from now on belongs there,
    /// and so do the threads and the programs that it starts.
    ///
    /// # Errors
    ///
    /// This is not root.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("can't enter the network {}: is this root?", self.path))
    }

    /// Does `work` on a thread in the namespace, and waits for it.
    ///
    /// # Panics
    ///
    /// Passes on a panic of `work`.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let here = self.clone();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                here.enter()?;
                work()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// An `nsenter` into these namespaces of a process, as its options name them (`--net`); the
/// program to run there follows. The process that is started becomes that program.
pub fn nsenter(pid: u32, namespaces: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg("--target")
        .arg(pid.to_string())
        .args(namespaces);
    command
}

/// Takes from a command the whole environment of this process but `PATH`: neither a proxy, which
/// could not be reached from another network, nor what else a person has set must steer what is
/// tested.
pub fn bare(command: &mut Command) {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
}

/// Adds the program and the arguments of another command, and sets its variables.
pub(crate) fn append(command: &mut Command, other: &Command) {
    let set = other
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let words: Vec<&OsStr> = std::iter::once(other.get_program())
        .chain(other.get_args())
        .collect();
    command.args(words).envs(set);
    if let Some(folder) = other.get_current_dir() {
        command.current_dir(folder);
    }
}
