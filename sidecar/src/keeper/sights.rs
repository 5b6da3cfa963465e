//! What the keeper sees of connections that do not pass the relay.

use super::Keeper;
use crate::capture::lookout::Lookout;
use crate::capture::observe::{Observer, Rules};
use ebb_api::phase::Phase;
use std::time::{Duration, Instant};

impl Keeper {
    /// Has somebody look for the connections that the relay has not; nobody where it has all.
    pub(super) fn post_lookout(&mut self) {
        let others = self.captured.standing.others_are();
        self.lookout = others.map(|way| {
            let ours = self.captured.ours.clone();
            Lookout::new(Observer::new(self.census.clone(), way, ours))
        });
    }

    /// Brings the census up to date, before anything is decided or told by it.
    pub(super) async fn look(&mut self) {
        if let Some(lookout) = &mut self.lookout {
            let connections = self.machine.settings().connections;
            let rules = Rules {
                patience: Duration::from_secs(connections.idle_seconds.into()),
                kubelet: self.kubelet,
            };
            lookout.look(rules).await;
        }
    }

    /// When to look again although nobody asks: only while the pod leaves.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let leaving = self.orders.phase != Phase::Serving;
        let lookout = self.lookout.as_ref().filter(|_| leaving)?;
        Some(lookout.next(Instant::now()))
    }
}
