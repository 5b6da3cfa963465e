//! A Service with one pod, which is replaced again and again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::report::Drain;
use ebb_bed::progress::say;

use super::Plan;
use super::greeting;
use super::node::Node;
use super::pod::{Pod, Wanted};
use super::policy;
use super::server::{Protocol, Server};

/// What a server writes before the code with which a client's WebSocket was closed.
const WEBSOCKET_CLOSED: &str = "websocket closed ";

/// An address for clients, and the pod that it leads to.
#[derive(Debug)]
pub struct Service {
    server: Server,
    address: Ipv4Addr,
    pod: Option<Pod>,
    /// The names of all pods that there were.
    pods: Vec<String>,
}

/// What a pod's end was like.
#[derive(Clone, Debug)]
pub struct Drained {
    /// The sidecar's report.
    pub drain: Drain,
    /// The codes with which WebSockets were closed, as the server saw it.
    pub closed: BTreeMap<String, u64>,
}

// === impl Service ===

impl Service {
    /// The `number`th Service, with its first pod.
    pub fn start(plan: &Plan, node: &Node, server: Server, number: u8) -> Result<Self> {
        let mut service = Self {
            server,
            address: Self::address(number),
            pod: None,
            pods: Vec::new(),
        };
        let pod = service.next_pod(plan, node)?;
        node.switch(service.address, None, pod.address())?;
        service.pod = Some(pod);
        Ok(service)
    }

    /// The address of the `number`th Service.
    pub fn address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, 0, number + 1)
    }

    /// The server in its pods.
    pub fn server(&self) -> Server {
        self.server
    }

    /// The names of all pods that there were.
    pub fn pods(&self) -> &[String] {
        &self.pods
    }

    /// Where a protocol is spoken, if it is.
    pub fn url(&self, protocol: Protocol) -> Option<String> {
        let port = self.server.port(protocol)?;
        let scheme = match protocol {
            Protocol::Https => "https",
            Protocol::Smtp => "smtp",
            Protocol::Http1 | Protocol::Http2 | Protocol::Grpc | Protocol::WebSocket => "http",
        };
        Some(format!("{scheme}://{}:{port}", self.address))
    }

    /// Replaces the pod as often as planned: the new one serves, the hooks of the old one are
    /// called, and new connections go to the new one, at the latest 0.6 s after that: it takes a
    /// node's kube-proxy a while to hear of it.
    ///
    /// What goes wrong is said at once, since the other services may go on for long.
    pub fn drain(&mut self, plan: &Plan, node: &Node) -> Result<Vec<Drained>> {
        let drained = self.replace_pods(plan, node);
        if let Err(error) = &drained {
            say(format!("{} is drained no more: {error:#}", self.server));
        }
        drained
    }

    fn replace_pods(&mut self, plan: &Plan, node: &Node) -> Result<Vec<Drained>> {
        let mut drained = Vec::new();
        for number in 0..plan.drains {
            let new = self.next_pod(plan, node)?;
            let old = self.pod.take().context("a Service always has a pod")?;
            let (from, to) = (old.address(), new.address());
            policy::recognized(self.server, from, &plan.clients)
                .with_context(|| old.name().to_owned())?;
            let (drain, said) = old.end(&plan.clients, || {
                if let Some(port) = self.server.port(Protocol::Smtp) {
                    greeting::heard_in_lame_duck(from, port)?;
                }
                std::thread::sleep(Duration::from_millis(u64::from(number % 4) * 200));
                node.switch(self.address, Some(from), to)
            })?;
            self.pod = Some(new);
            drained.push(Drained {
                drain,
                closed: closed_websockets(&said),
            });
        }
        Ok(drained)
    }

    fn next_pod(&mut self, plan: &Plan, node: &Node) -> Result<Pod> {
        let name = format!("{}-{}", self.server, self.pods.len());
        let pod = Pod::start(plan, node, Wanted::of(self.server, &name))?;
        self.pods.push(name);
        Ok(pod)
    }
}

fn closed_websockets(said: &str) -> BTreeMap<String, u64> {
    let mut closed = BTreeMap::new();
    for code in said
        .lines()
        .filter_map(|line| line.strip_prefix(WEBSOCKET_CLOSED))
    {
        *closed.entry(code.trim().to_owned()).or_default() += 1;
    }
    closed
}
