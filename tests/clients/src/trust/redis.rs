//! Redis with Sentinel: a master names its replicas by the addresses from which they come, and
//! Sentinel promotes whom it finds there.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::capture::Mode;
use ebb_netns::command;
use ebb_netns::eventually;
use ebb_netns::process::{Process, START};

use super::files::{Files, PROGRAMS};
use super::{Guarded, word};
use crate::Plan;
use crate::node::Node;

/// Where a server listens.
pub const PORT: u16 = 6379;
/// Where a Sentinel listens.
pub const SENTINEL_PORT: u16 = 26379;

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
    let of = master.address();
    let start = |guarded: &Guarded, part: &str, replica_of: Option<IpAddr>| -> Result<Process> {
        let command = files.shell(&server(replica_of), &name(part))?;
        let command = guarded.pod.network().entered(&command);
        let mut process = Process::start(command, &name(part), &plan.scratch)?;
        process.listening(SocketAddr::new(guarded.address(), PORT), START)?;
        Ok(process)
    };
    let master_process = start(&master, "master", None)?;
    let _replica_process = start(&replica, "replica", Some(of))?;

    let watch = node.pod()?;
    let command = files.shell(&sentinel(of), &name("sentinel"))?;
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

/// What a shell does to become a server, as [`Server::script`] says.
///
/// [`Server::script`]: super::server::Server::script
pub fn server(replica_of: Option<IpAddr>) -> String {
    let replica_of = replica_of.map(|master| format!("--replicaof {master} {PORT}"));
    format!(
        "exec {PROGRAMS}/usr/bin/redis-server --port {PORT} --protected-mode no --save '' \\
    --repl-diskless-sync-delay 0 {}
",
        replica_of.unwrap_or_default()
    )
}

/// The same for the Sentinel that watches this master.
pub fn sentinel(of: IpAddr) -> String {
    format!(
        "cat > sentinel.conf <<END
port {SENTINEL_PORT}
protected-mode no
sentinel monitor app {of} {PORT} 1
sentinel down-after-milliseconds app 1000
sentinel failover-timeout app 5000
END
exec {PROGRAMS}/usr/bin/redis-sentinel $PWD/sentinel.conf
"
    )
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
