//! A pod: a network with the redirect's rules, a server, and the sidecar before it.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_api::birth::{AppContainer, Birth, Capture};
use ebb_api::names::{BIRTH_VARIABLE, POD_UID_VARIABLE, SIDECAR_CONTAINER};
use ebb_api::phase::Outcome;
use ebb_api::report::{Drain, Mode};
use ebb_api::settings::Settings;
use rustix::process::Signal;

use super::Plan;
use super::hook;
use super::node::{Node, PodNetwork};
use super::process::{Process, START};
use super::server::Server;
use crate::bed::command;
use crate::bed::process::wait_for;

/// The name of the app's container.
const APP: &str = "app";

/// Kubernetes' default grace period: how long the app has after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// A pod that serves.
#[derive(Debug)]
pub struct Pod {
    name: String,
    server: Server,
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
        let birth = serde_json::to_string(&birth(server))?;
        let with_birth = |mut command: Command| {
            command
                .env(BIRTH_VARIABLE, &birth)
                .env(POD_UID_VARIABLE, name);
            network.enter(&command)
        };
        let mut redirect = Command::new(&plan.sidecar);
        redirect.arg("redirect");
        command::run(&mut with_birth(redirect)).context("the redirect step failed")?;
        // As in a pod: only the redirect step has privileges.
        let mut sidecar = Command::new("setpriv");
        sidecar
            .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
            .arg(&plan.sidecar);
        let logs = &plan.scratch;
        let sidecar = Process::start(with_birth(sidecar), &format!("{name}-sidecar"), logs)?;
        let app = server.command(plan, &network, name)?;
        let app = Process::start(app, name, logs)?;
        let mut pod = Self {
            name: name.to_owned(),
            server,
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
            report.mode_reason
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
    /// Returns what the sidecar says of the drain, and what the app said in its life.
    pub fn end(mut self, meanwhile: impl FnOnce() -> Result<()>) -> Result<(Drain, String)> {
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
        let last = hook::status(address)?.last;
        let drain = last.with_context(|| format!("{} knows of no drain", self.name))?;
        ensure!(
            drain.outcome == Outcome::Drained && drain.cut_in_all() == 0,
            "{} did not drain: {drain:?}",
            self.name
        );
        self.app.signal(self.server.stop_signal())?;
        self.app.ended(GRACE)?;
        self.sidecar.signal(Signal::TERM)?;
        self.sidecar.ended(GRACE)?;
        Ok((drain, self.app.said()))
    }
}

/// A policy is in force, with every default; no controller will speak.
fn birth(server: Server) -> Birth {
    let settings = Settings {
        policy: Some("clients".to_owned()),
        enabled: true,
        ..Settings::without_policy()
    };
    Birth {
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
        capture: Capture::default(),
    }
}
