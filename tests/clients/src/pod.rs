//! A pod: a network with the redirect's rules, a server, and the sidecar before it.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::bootstrap::{AppContainer, Bootstrap};
use ebb_api::capture::Mode;
use ebb_api::names::SIDECAR_CONTAINER;
use ebb_api::report::Drain;
use ebb_api::settings::Settings;
use ebb_netns::admin::Admin;
use ebb_netns::bootstrap::{self, APP};
use ebb_netns::process::{Process, START};
use ebb_netns::sidecar::{Launch, Sidecar};
use rustix::process::Signal;

use super::Plan;
use super::client::Client;
use super::node::Node;
use super::policy;
use super::server::Server;

/// Kubernetes' default grace period: how long the app has after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// What a pod is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub server: Server,
    /// The policy in force.
    pub settings: Settings,
}

/// A pod that serves.
#[derive(Debug)]
pub struct Pod {
    name: String,
    server: Server,
    // Processes end before the network that they are in.
    app: Process,
    sidecar: Sidecar,
    network: ebb_netns::pod::Pod,
}

// === impl Wanted ===

impl Wanted {
    /// With the policy for this server.
    pub fn of(server: Server, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            server,
            settings: policy::of(server),
        }
    }
}

// === impl Pod ===

impl Pod {
    /// Starts it, and returns when all its ports take connections through the relay.
    pub fn start(plan: &Plan, node: &Node, wanted: Wanted) -> Result<Self> {
        let Wanted { name, server, .. } = &wanted;
        let network = node.pod()?;
        let launch = Launch::new(&plan.sidecar, &bootstrap(&wanted)).uid(name);
        launch.redirect(&network)?;
        let sidecar = launch.start(&network, &format!("{name}-sidecar"), &plan.scratch)?;
        let app = network.network().entered(&server.command(plan, name)?);
        let app = Process::start(app, name, &plan.scratch)?;
        let mut pod = Self {
            name: wanted.name,
            server: wanted.server,
            app,
            sidecar,
            network,
        };
        pod.serving().with_context(|| pod.name.clone())?;
        Ok(pod)
    }

    fn serving(&mut self) -> Result<()> {
        let address = self.address();
        for address in self.server.addresses(address) {
            self.app.listening(address, START)?;
        }
        // Its ports open one after the other.
        self.sidecar.started_in(Mode::Transparent).map(drop)
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.network.address()
    }

    /// What kubelet asks of its sidecar.
    pub fn admin(&self) -> Admin {
        self.sidecar.admin()
    }

    /// Its name, with which its server answers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its app has said until now.
    pub fn said(&self) -> String {
        self.app.said()
    }

    /// Ends its app without a word.
    pub fn kill(&self) -> Result<()> {
        self.app.signal(Signal::KILL)
    }

    /// Ends it as kubelet does: the hooks of all containers, at once; SIGTERM to the app when they
    /// have returned; SIGTERM to the sidecar when the app has exited. `meanwhile` runs when the
    /// hooks have been called.
    ///
    /// Returns what the sidecar reports of the drain in the end, which must be what is right for
    /// these clients, and what the app said in its life.
    pub fn end(
        mut self,
        clients: &[Client],
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<(Drain, String)> {
        let hooks = self.admin().call_hooks(&[APP, SIDECAR_CONTAINER]);
        let drained = hooks.and_then(|hooks| {
            meanwhile()?;
            hooks.released()
        });
        drained.with_context(|| self.name.clone())?;
        self.app.signal(self.server.stop_signal())?;
        self.app.ended(GRACE)?;
        self.sidecar.process.signal(Signal::TERM)?;
        self.sidecar.process.ended(GRACE)?;
        let drain = self.sidecar.last_words()?.drain;
        let drain = drain.with_context(|| format!("{} knows of no drain", self.name))?;
        policy::judge(self.server, clients, &drain).with_context(|| self.name.clone())?;
        Ok((drain, self.app.said()))
    }
}

/// No controller will speak.
fn bootstrap(wanted: &Wanted) -> Bootstrap {
    let server = wanted.server;
    Bootstrap {
        containers: vec![AppContainer {
            name: APP.to_owned(),
            ports: server.ports().iter().map(|(_, port)| *port).collect(),
            probes: Vec::new(),
            restart_grace_seconds: None,
            own_hook: None,
        }],
        proxy_protocol_ports: server.proxy_protocol_ports().to_vec(),
        ..bootstrap::of(wanted.settings.clone())
    }
}
