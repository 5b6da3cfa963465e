//! The bed's processes: started in a machine, each in its own session and with its own log file.
//!
//! Two things find a process again. The record keeps its pid together with its start time, so that
//! a recycled pid is never taken for it. And every process carries [`MARK`] in its environment, so
//! that `down` finds those too that a killed `up` had no time to write down.

pub mod table;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_netns::namespace::nsenter;
use ebb_netns::{eventually, explain};
use serde::{Deserialize, Serialize};

use super::folders::INSIDE;

/// The environment variable that marks the bed's processes; its value is the machine's name.
pub const MARK: &str = "EBB_BED_MACHINE";

/// A process that can't be mistaken for another one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process number, as the root process namespace counts.
    pub pid: i32,
    /// When it started, in clock ticks after the boot of this computer.
    pub start: u64,
}

/// A program to run in a machine, with paths as that machine sees them.
#[derive(Clone, Debug)]
pub struct Component {
    /// The name of its log and of its line in `cluster status`.
    pub name: String,
    /// The machine that it runs in.
    pub machine: &'static str,
    /// The program's path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

// === impl Identity ===

impl Identity {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        table::start_time(pid).map(|start| Self { pid, start })
    }

    /// Whether exactly this process still runs.
    pub fn is_alive(self) -> bool {
        table::start_time(self.pid) == Some(self.start)
    }
}

// === impl Component ===

impl Component {
    /// Starts it in the machine that `holder` is the first process of.
    pub fn start(&self, holder: Identity, logs: &Path) -> Result<Identity> {
        let mut command = enter(holder, &["--net", "--mount", "--pid"]);
        command.args(["--", "env", &format!("PATH={}", search_path())]);
        command.arg(format!("LD_LIBRARY_PATH={}", library_path()));
        command.arg(&self.program).args(&self.arguments);
        start_in_session(&mut command, &self.name, self.machine, logs)
    }
}

/// Starts `command` in a session of its own, marked, with its output in `logs`/`name`.log, and
/// returns the process that it becomes: the child of the `nsenter` or `unshare` that forks.
pub fn start_in_session(
    command: &mut Command,
    name: &str,
    machine: &str,
    logs: &Path,
) -> Result<Identity> {
    let path = logs.join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let mut session = Command::new("setsid");
    session.arg(command.get_program()).args(command.get_args());
    // What the user has set, a proxy above all, must not steer the cluster.
    session
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env(MARK, machine)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut outer = session
        .spawn()
        .with_context(|| format!("can't start {name}"))?;
    let outer_pid = i32::try_from(outer.id()).context("a process number does not fit")?;
    eventually(&format!("{name} to start"), Duration::from_secs(10), || {
        if outer.try_wait()?.is_some() {
            bail!("{name} ended at once{}", explain::of_log(&path));
        }
        Ok(table::only_child(outer_pid).and_then(Identity::of))
    })
}

/// An `nsenter` into the given namespaces of a machine; the program to run there follows.
pub fn enter(holder: Identity, namespaces: &[&str]) -> Command {
    let mut command = nsenter(holder.pid.unsigned_abs(), namespaces);
    // No proxy can be reached from there.
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
}

/// Ends every process of the bed at once. They hold nothing that is worth a farewell: etcd's data
/// goes too, and the kernel takes a machine's mounts and network away with its last process.
pub fn kill_all() -> Result<usize> {
    let mut killed = BTreeSet::new();
    eventually(
        "the bed's processes to end",
        Duration::from_secs(30),
        || {
            let marked = table::marked();
            for pid in &marked {
                if table::kill_if_marked(*pid)? {
                    killed.insert(*pid);
                }
            }
            Ok(marked.is_empty().then_some(()))
        },
    )?;
    // What has ended stays in the list of processes until the first process of this computer takes
    // notice. That is not ours to hurry, but worth waiting for, so that nothing is left to be seen.
    let noticed = || Ok((!killed.iter().any(|pid| table::is_listed(*pid))).then_some(()));
    let _ = eventually("the ended processes to go", Duration::from_secs(5), noticed);
    Ok(killed.len())
}

fn search_path() -> String {
    let own =
        ["bin", "debian/usr/sbin", "debian/usr/bin"].map(|folder| format!("{INSIDE}/{folder}"));
    format!(
        "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        own.join(":")
    )
}

/// Where the unpacked Debian libraries are, inside a machine.
pub(super) fn library_path() -> String {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    format!("{INSIDE}/debian/usr/lib/{triple}:{INSIDE}/debian/lib/{triple}")
}
