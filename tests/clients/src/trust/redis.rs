//! Redis with Sentinel: a master names its replicas by the addresses from which they come, and
//! Sentinel promotes whom it finds there.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::capture::Mode;
use ebb_netns::command;
use ebb_netns::eventually;
use ebb_netns::process::{Process, START};

use super::files::Files;
use super::{Guarded, word};
use crate::Plan;
use crate::node::Node;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Many times what Sentinel takes by its own settings here.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sentinel finds the replica at its own address, and makes it the master when the master's pod has
/// gone.
pub(super) fn fails_over(
    plan: &Plan,
    node: &Node,
    files: &Files,
    before: Option<Mode>,
) -> Result<String> {
    let name = |part: &str| format!("redis-{part}-{}", word(before));
    let master = Guarded::start(plan, node, before, &name("master"))?;
    let replica = Guarded::start(plan, node, before, &name("replica"))?;
    let start = |guarded: &Guarded, part: &str, more: &[&str]| -> Result<Process> {
        let mut command = files.command("usr/bin/redis-server");
        command.args(["--port", &PORT.to_string(), "--protected-mode", "no"]);
        command.args(["--save", "", "--repl-diskless-sync-delay", "0"]);
        command
            .args(more)
            .current_dir(files.folder(&name(part), 0)?);
        let command = guarded.pod.network().entered(&command);
        let mut process = Process::start(command, &name(part), &plan.scratch)?;
        process.listening(SocketAddr::new(guarded.address(), PORT), START)?;
        Ok(process)
    };
    let of = master.address().to_string();
    let master_process = start(&master, "master", &[])?;
    let _replica_process = start(
        &replica,
        "replica",
        &["--replicaof", &of, &PORT.to_string()],
    )?;

    let folder = files.folder(&name("sentinel"), 0)?;
    let file = folder.join("sentinel.conf");
    let configuration = format!(
        "port {SENTINEL_PORT}
protected-mode no
sentinel monitor app {of} {PORT} 1
sentinel down-after-milliseconds app 1000
sentinel failover-timeout app 5000
"
    );
    fs::write(&file, configuration).context("can't write Sentinel's configuration")?;
    let mut command = files.command("usr/bin/redis-sentinel");
    command.arg(&file).current_dir(&folder);
    let watch = node.pod()?;
    let command = watch.network().entered(&command);
    let sentinel = Process::start(command, &name("sentinel"), &plan.scratch)?;

    let wanted = replica.address().to_string();
    let found = |question: &[&str]| -> Result<Option<()>> {
        let answer = command::output(&mut ask(files, watch.address(), question))?;
        let said = String::from_utf8_lossy(&answer.stdout);
        Ok(said.lines().any(|line| line == wanted).then_some(()))
    };
    let explained = || sentinel.explanation();
    let replicas = || found(&["replicas", "app"]);
    eventually("Sentinel to find the replica", PATIENCE, replicas).with_context(explained)?;
    drop((master_process, master));
    let masters = || found(&["get-master-addr-by-name", "app"]);
    eventually("the replica to be the master", PATIENCE, masters).with_context(explained)?;
    Ok("Sentinel finds the replica and makes it the master".to_owned())
}

/// A question to the Sentinel at this address, from the node.
fn ask(files: &Files, sentinel: IpAddr, question: &[&str]) -> Command {
    let mut command = files.command("usr/bin/redis-cli");
    command.args([
        "-h",
        &sentinel.to_string(),
        "-p",
        &SENTINEL_PORT.to_string(),
    ]);
    command.args(["--raw", "sentinel"]).args(question);
    command
}
