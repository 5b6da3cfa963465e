//! How connections reach the relay, and what the lifecycle sees of those that don't.

use super::Lifecycle;
use crate::capture::observe::{Observer, Rules};
use crate::capture::poll::SocketPoller;
use crate::capture::standing::Standing;
use ebb_api::capture::{Mode, Step, Why};
use ebb_api::phase::Phase;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How connections reach the relay.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) standing: Standing,
    /// Ports that are the sidecar's, and those that nobody is to count connections to.
    pub(crate) ours: BTreeSet<u16>,
    /// Ports of the app that are to be told who each client is; only the relay can.
    pub(crate) proxy_protocol_ports: Vec<u16>,
}

// === impl Captured ===

impl Captured {
    /// That ports of the app do not learn who their clients are, although they should.
    pub(super) fn no_proxy_protocol(&self) -> Option<Step> {
        let ports = &self.proxy_protocol_ports;
        let mode = self.standing.mode();
        if mode != Mode::Observe || ports.is_empty() {
            return None;
        }
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        Some(Step {
            mode,
            why: Why::NoProxyProtocol,
            detail: format!(
                "no header of the PROXY protocol is written, though capture.proxyProtocolPorts names {}",
                ports.join(", ")
            ),
        })
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Has somebody look for the connections that the relay has not; nobody where it has all.
    pub(super) fn start_poller(&mut self) {
        let others = self.captured.standing.others_are();
        self.poller = others.map(|way| {
            let ours = self.captured.ours.clone();
            SocketPoller::new(Observer::new(self.census.clone(), way, ours))
        });
    }

    /// Brings the census up to date, before anything is decided or told by it.
    pub(super) async fn look(&mut self) {
        if let Some(poller) = &mut self.poller {
            let connections = self.machine.settings().connections;
            let rules = Rules {
                patience: Duration::from_secs(connections.idle_seconds.into()),
                kubelet: self.kubelet,
            };
            poller.look(rules).await;
        }
    }

    /// When to look again although nobody asks: only while the pod leaves.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let leaving = self.orders.phase != Phase::Serving;
        let poller = self.poller.as_ref().filter(|_| leaving)?;
        Some(poller.next(Instant::now()))
    }
}
