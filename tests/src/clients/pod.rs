//! A pod: a network with the redirect's rules, a server, and the sidecar before it.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_api::bootstrap::{AppContainer, Bootstrap};
use ebb_api::capture::{self, Mode, Wanted};
use ebb_api::names::{BOOTSTRAP_VARIABLE, POD_UID_VARIABLE, SIDECAR_CONTAINER};
use ebb_api::report::{Drain, FinalReport};
use rustix::process::Signal;

use super::Plan;
use super::client::Client;
use super::hook;
use super::node::{Node, PodNetwork};
use super::policy;
use super::process::{Process, START};
use super::server::Server;
use crate::bed::command;
use crate::bed::process::wait_for;

/// The name of the app's container.
const APP: &str = "app";

/// Kubernetes' default grace period: how long the app has after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// Starts a sidecar as in a pod: with the termination message's file mounted where it expects it, and
/// without privileges.
const SIDECAR: &str = "target=/dev/termination-log; : >>$target && mount --bind \"$0\" $target && \
    exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \"$1\"";

/// A pod that serves.
#[derive(Debug)]
pub struct Pod {
    name: String,
    server: Server,
    /// Where the sidecar writes its last words.
    termination: PathBuf,
    // Ends before the network that it is in.
    app: Process,
    sidecar: Process,
    network: PodNetwork,
}

// === impl Pod ===

impl Pod {
    /// Starts it, and returns when all its ports take connections through the relay.
    pub fn start(plan: &Plan, node: &Node, server: Server, name: &str) -> Result<Self> {
        let network = node.pod_network()?;
        let bootstrap = serde_json::to_string(&bootstrap(server))?;
        let with_bootstrap = |mut command: Command| {
            command
                .env(BOOTSTRAP_VARIABLE, &bootstrap)
                .env(POD_UID_VARIABLE, name);
            network.enter(&command)
        };
        let mut redirect = Command::new(&plan.sidecar);
        redirect.arg("redirect");
        command::run(&mut with_bootstrap(redirect)).context("the redirect step failed")?;
        let logs = &plan.scratch;
        let termination = logs.join(format!("{name}-termination"));
        File::create(&termination)
            .with_context(|| format!("can't write {}", termination.display()))?;
        let mut sidecar = Command::new("unshare");
        sidecar
            .args(["--mount", "sh", "-c", SIDECAR])
            .arg(&termination)
            .arg(&plan.sidecar);
        let sidecar = Process::start(with_bootstrap(sidecar), &format!("{name}-sidecar"), logs)?;
        let app = server.command(plan, &network, name)?;
        let app = Process::start(app, name, logs)?;
        let mut pod = Self {
            name: name.to_owned(),
            server,
            termination,
            app,
            sidecar,
            network,
        };
        pod.serving().with_context(|| pod.name.clone())?;
        Ok(pod)
    }

    fn serving(&mut self) -> Result<()> {
        let address = self.address();
        self.app.listening(address, self.server)?;
        // Its ports open one after the other.
        let report = wait_for("the sidecar's status", START, || {
            self.sidecar.still_runs()?;
            Ok(hook::status(address).ok())
        })?;
        ensure!(
            report.mode == Mode::Redirect,
            "the sidecar runs as {:?}: {:?}",
            report.mode,
            capture::sentence(&report.steps)
        );
        Ok(())
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.network.address()
    }

    /// Its name, with which its server answers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends it as kubelet does: the hooks of all containers, at once; SIGTERM to the app when they
    /// have returned; SIGTERM to the sidecar when the app has exited. `meanwhile` runs when the hooks
    /// have been called.
    ///
    /// Returns what the sidecar reports of the drain in the end, which must be what is right for these
    /// clients, and what the app said in its life.
    pub fn end(
        mut self,
        clients: &[Client],
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<(Drain, String)> {
        let address = self.address();
        let ended = std::thread::scope(|scope| -> Result<()> {
            let hooks = [APP, SIDECAR_CONTAINER];
            let calls = hooks.map(|name| scope.spawn(move || hook::call(address, name)));
            meanwhile()?;
            for call in calls {
                call.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(())
        });
        ended.with_context(|| self.name.clone())?;
        self.app.signal(self.server.stop_signal())?;
        self.app.ended(GRACE)?;
        self.sidecar.signal(Signal::TERM)?;
        self.sidecar.ended(GRACE)?;
        let drain = self.last_words()?.drain;
        let drain = drain.with_context(|| format!("{} knows of no drain", self.name))?;
        policy::judge(self.server, clients, &drain).with_context(|| self.name.clone())?;
        Ok((drain, self.app.said()))
    }

    /// The sidecar's final report, which kubelet would hand on.
    fn last_words(&self) -> Result<FinalReport> {
        let file = &self.termination;
        let words = fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
        serde_json::from_slice(&words)
            .with_context(|| format!("no final report of {} in {}", self.name, file.display()))
    }
}

/// A policy is in force; no controller will speak.
fn bootstrap(server: Server) -> Bootstrap {
    let settings = policy::of(server);
    Bootstrap {
        grace_seconds: settings.grace_seconds(30),
        settings,
        original_grace_seconds: 30,
        token: hook::TOKEN.to_owned(),
        key: "none".to_owned(),
        public_key: BASE64_STANDARD.encode([0; 32]),
        containers: vec![AppContainer {
            name: APP.to_owned(),
            ports: server.ports().iter().map(|(_, port)| *port).collect(),
            probes: Vec::new(),
            restart_grace_seconds: None,
            own_hook: None,
        }],
        exclude_ports: Vec::new(),
        proxy_protocol_ports: server.proxy_protocol_ports().to_vec(),
        capture: Wanted::default(),
    }
}
