//! Servers that go by their clients' addresses, in pods with Ebb and without: whom they trust, and
//! whom they name to others.
//!
//! A relay that dials from the pod's own address makes an open door of `Require local`, of
//! `samehost`, and of a mail server's own networks; and a replica under its master's address is one
//! that nobody can find when the master has gone. In the mode Transparent none of that happens.

pub mod files;
pub mod redis;
pub mod server;

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Wanted};
use ebb_netns::bootstrap;
use ebb_netns::pod::Pod;
use ebb_netns::process::{Process, START};
use ebb_netns::sidecar::{Launch, Sidecar};

use super::Plan;
use super::node::Node;
use files::Files;
use server::Server;

/// The hidden command of a program that calls [`run`] with the [`Plan`] that it gets as JSON.
pub const INSIDE: &str = "trust-inside";

/// Who stands before a server: nobody, or the sidecar in this mode. Without the sidecar it is seen
/// what is right; and where the pod's own address is what servers see, that they would be fooled,
/// so that the comparison proves something.
const BEFORE: [Option<Mode>; 3] = [None, Some(Mode::Transparent), Some(Mode::Redirect)];

/// The same for Redis. Behind the pod's own address its Sentinel waits in vain.
const REPLICATED: [Option<Mode>; 2] = [None, Some(Mode::Transparent)];

/// A pod, and what stands before its server.
#[derive(Debug)]
struct Guarded {
    #[expect(dead_code, reason = "it runs for as long as this is there")]
    sidecar: Option<Sidecar>,
    pod: Pod,
}

/// Compares all servers, and returns a line for each and all differences. Runs inside
/// [`Plan::isolate`].
pub fn run(plan: &Plan) -> Result<(Vec<String>, Vec<String>)> {
    let node = Node::make(&plan.runtimes)?;
    let files = Files::mount()?;
    let (mut lines, mut differences) = (Vec::new(), Vec::new());
    for server in Server::ALL {
        let mut seen = Vec::new();
        for before in BEFORE {
            let seen_here = answers(plan, &node, &files, server, before);
            seen.push(seen_here.with_context(|| format!("{server}, {}", word(before)))?);
        }
        let [(own, plain), transparent, (_, redirected)] = &seen[..] else {
            continue;
        };
        lines.push(format!(
            "{server}: its own pod hears {own:?}, others {plain:?}"
        ));
        if own == plain || own != redirected {
            differences.push(format!("{server} trusts nobody more than others: {seen:?}"));
        }
        if transparent != &seen[0] {
            differences.push(format!("{server}: {transparent:?} behind the sidecar"));
        }
    }
    let found = std::thread::scope(|scope| {
        // Mostly they wait.
        let threads = REPLICATED.map(|before| {
            let (node, files) = (&node, &files);
            let found = move || redis::fails_over(plan, node, files, before);
            (before, scope.spawn(found))
        });
        threads.map(|(before, thread)| match thread.join() {
            Ok(found) => (before, found),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    for (before, found) in found {
        match found {
            Ok(line) => lines.push(format!("Redis, {}: {line}", word(before))),
            Err(error) => differences.push(format!("Redis, {}: {error:#}", word(before))),
        }
    }
    Ok((lines, differences))
}

/// What a server answers to a client in its own pod, and to one outside of it.
fn answers(
    plan: &Plan,
    node: &Node,
    files: &Files,
    server: Server,
    before: Option<Mode>,
) -> Result<(String, String)> {
    let guarded = Guarded::start(plan, node, before, &server.to_string())?;
    let pod = &guarded.pod;
    let name = format!("{server}-{}", word(before));
    let command = files.shell(&server.script(), &name)?;
    let mut process = Process::start(pod.network().entered(&command), &name, &plan.scratch)?;
    let address = SocketAddr::new(pod.address(), server.port());
    process.listening(address, START)?;
    let own = pod.network().namespace().inside(|| server.ask(address));
    let other = server.ask(address);
    Ok((own?, other.with_context(|| process.explanation())?))
}

fn word(before: Option<Mode>) -> &'static str {
    before.map_or("plain", Mode::as_str)
}

// === impl Guarded ===

impl Guarded {
    fn start(plan: &Plan, node: &Node, before: Option<Mode>, name: &str) -> Result<Self> {
        let pod = node.pod()?;
        let sidecar = before.map(|mode| -> Result<Sidecar> {
            let bootstrap = Bootstrap {
                capture: Wanted::only(mode),
                ..bootstrap::of(bootstrap::short(5))
            };
            let launch = Launch::new(&plan.sidecar, &bootstrap);
            launch.redirect(&pod)?;
            let name = format!("{name}-{mode}-sidecar");
            let mut sidecar = launch.start(&pod, &name, &plan.scratch)?;
            sidecar.started_in(mode)?;
            Ok(sidecar)
        });
        Ok(Self {
            sidecar: sidecar.transpose()?,
            pod,
        })
    }

    fn address(&self) -> IpAddr {
        self.pod.address()
    }
}
