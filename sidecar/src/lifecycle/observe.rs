//! How connections reach the relay, and what the lifecycle sees of those that don't.

use super::Lifecycle;
use crate::capture::Effective;
use crate::capture::observer::{Observer, Rules};
use crate::capture::poll::SocketPoller;
use crate::upstream::Upstream;
use ebb_api::phase::Phase;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How connections reach the relay, and the app.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) effective: Effective,
    /// The way from the relay to the app.
    pub(crate) upstream: Arc<Upstream>,
    /// Ports that are the sidecar's, and those that the policy excludes: connections to them are
    /// not counted.
    pub(crate) ours: BTreeSet<u16>,
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Looks for the connections that don't pass the relay from now on, if there can be any.
    pub(super) fn start_poller(&mut self) {
        let uncaptured = self.captured.effective.path().uncaptured;
        self.poller = uncaptured.map(|way| {
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

    /// A port of the relay that was taken at the start is open.
    pub(super) fn opened(&mut self, port: u16) {
        let captured = &mut self.captured;
        let before = captured.effective.path().uncaptured;
        captured.effective.opened(port);
        captured.ours.insert(port);
        if captured.effective.path().uncaptured != before {
            self.start_poller();
        } else if let Some(poller) = &mut self.poller {
            poller.leave_out(port);
        }
        self.published
            .send_modify(|published| published.version += 1);
    }
}
