//! Real clients through real drains: programs that people use, in their default set-up, against
//! real servers in pods with the sidecar, while pod after pod is replaced.
//!
//! ```text
//!  the node: clients --> Service (nftables, for new connections, as kube-proxy does)
//!                           |
//!            bridge --------+--------+
//!              |                     |
//!          pod n: redirect,      pod n+1: the same
//!          sidecar, server
//! ```
//!
//! No cluster takes part, and nothing between a client and its server is pretended: a pod is a
//! network of its own in which the sidecar's redirect step has run, a Service is a rule of the
//! kernel, and each drain makes the calls and sends the signals that kubelet does, in its order. No
//! controller speaks to the sidecars, so the hooks alone drain them.
//!
//! Everything runs below one process in namespaces of its own ([`isolated`](fn@isolated)), whose
//! network is the node's: nothing of a run is left, however it ends.

pub mod client;
pub mod conformance;
pub mod gateway;
pub mod greeting;
pub mod node;
pub mod pod;
pub mod policy;
pub mod rejoin;
pub mod running;
pub mod runtimes;
pub mod server;
pub mod service;
pub mod tally;
pub mod trust;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ebb_bed::certificates;
use ebb_bed::fetch::proxies::Proxies;
use ebb_bed::folders::Folders;
use ebb_bed::image::build::static_program;
use ebb_bed::progress::{say, step};
use ebb_netns::command;
use ebb_netns::isolated::isolated;
use serde::{Deserialize, Serialize};

use client::Client;
use gateway::Gateway;
use node::Node;
use running::Running;
use runtimes::Runtimes;
use server::Server;
use service::{Drained, Service};
use tally::{Outcome, Report};

/// The hidden command of a program that gets a [`Plan`] as JSON and calls [`Plan::run`].
pub const INSIDE: &str = "inside";

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Where the programs are.
    pub runtimes: Runtimes,
    /// Where gateways are.
    pub gateways: Proxies,
    /// The sidecar.
    pub sidecar: PathBuf,
    /// The sample application.
    pub sample_app: PathBuf,
    /// A folder for logs and configurations.
    pub scratch: PathBuf,
    /// Which clients take part.
    pub clients: Vec<Client>,
    /// How many times each service loses a pod.
    pub drains: u32,
}

// === impl Plan ===

impl Plan {
    /// Fetches and builds what these clients need and the cache does not have yet. Programs that
    /// are given are taken as they are.
    pub fn prepare(
        clients: Vec<Client>,
        drains: u32,
        sidecar: Option<PathBuf>,
        sample_app: Option<PathBuf>,
    ) -> Result<Self> {
        let folders = Folders::from_environment()?;
        let own = |given: Option<PathBuf>, name: &str| match given {
            Some(path) => Ok(path),
            None => static_program(name),
        };
        let folder = folders.cache().join("clients");
        let runtimes = Runtimes::fetch(&folders, &folder)?;
        let scratch = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&folder)
            .with_context(|| format!("can't make a folder in {}", folder.display()))?;
        Ok(Self {
            runtimes,
            gateways: gateways(&folders, &clients)?,
            sidecar: own(sidecar, "ebb-sidecar")?,
            sample_app: own(sample_app, "ebb-sample-app")?,
            // From here on `isolate` removes it.
            scratch: scratch.keep(),
            clients,
            drains,
        })
    }

    /// Runs a hidden command of `program`, which is this one, with this plan as JSON in namespaces
    /// of its own. The logs of a run that failed are kept.
    pub fn isolate(&self, program: &Path, hidden: &str) -> Result<u8> {
        let code = command::interactive(
            isolated(program)
                .arg(hidden)
                .arg(serde_json::to_string(self)?),
        )?;
        if code == 0 {
            fs::remove_dir_all(&self.scratch)
                .with_context(|| format!("can't remove {}", self.scratch.display()))?;
        } else {
            say(format!("the logs are in {}", self.scratch.display()));
        }
        Ok(code)
    }

    /// Drains all services as often as planned, and returns what came of it. Runs inside
    /// [`Plan::isolate`].
    pub fn run(&self) -> Result<Report> {
        let node = Node::make(&self.runtimes)?;
        self.certify()?;
        let mut services = step("pods and services", || {
            let wanted = Server::wanted_by(&self.clients);
            let starts = wanted.into_iter().zip(0..);
            starts
                .map(|(server, number)| Service::start(self, &node, server, number))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut clients = step("clients", || {
            let start = |client: &Client| Running::start(*client, self, &services);
            let mut started = self.clients.iter().map(start).collect::<Result<Vec<_>>>()?;
            started.iter_mut().try_for_each(Running::answered)?;
            Ok(started)
        })?;
        let what = format!("{} drains of each service", self.drains);
        let drained: Vec<(Server, Result<Vec<Drained>>)> = step(&what, || {
            Ok(std::thread::scope(|scope| {
                let threads: Vec<_> = services
                    .iter_mut()
                    .map(|service| (service.server(), scope.spawn(|| service.drain(self, &node))))
                    .collect();
                let results = threads.into_iter().map(|(server, thread)| {
                    let result = thread.join().unwrap_or_else(|_| {
                        Err(anyhow::anyhow!("the thread of this service panicked"))
                    });
                    (server, result)
                });
                results.collect()
            }))
        })?;
        let outcomes: Vec<Outcome> = clients.drain(..).map(Running::stop).collect();
        Ok(Report::new(&outcomes, drained, &services))
    }

    /// The folder of the certificate that servers have, of its key, and of its authority.
    pub fn certificates(&self) -> PathBuf {
        self.scratch.join("certificates")
    }

    /// Makes a certificate for the addresses of all services.
    fn certify(&self) -> Result<()> {
        let folder = self.certificates();
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        let numbers = (0..).take(Server::ALL.len());
        let names: Vec<String> = numbers
            .map(|number| Service::address(number).to_string())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        certificates::write_server(&folder, &names)
    }
}

/// The programs that gateways are.
fn gateways(folders: &Folders, clients: &[Client]) -> Result<Proxies> {
    let proxies = Proxies::fetch(folders)?;
    let mut gateways = clients.iter().filter_map(|client| client.gateway());
    if gateways.any(|gateway| matches!(gateway, Gateway::Envoy | Gateway::EnvoyHttp2)) {
        proxies.fetch_envoy(folders)?;
    }
    Ok(proxies)
}
