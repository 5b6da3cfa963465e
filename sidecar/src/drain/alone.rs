//! A leaving pod beside which no other endpoint of a Service is ready.
//!
//! Whoever it refuses is served by nobody, so it goes on accepting for as long as it waits anyway:
//! until nothing that was in flight at the signal is left, or just before the deadline. It keeps
//! its readiness meanwhile, for then kube-proxy falls back on it; and it tells nobody to leave, for
//! they would only come back.
//!
//! What comes meanwhile does not hold it: without Ebb the port would have been closed by then. Its
//! port closes, and what is in flight at that moment gets the pod's own grace period, which is how
//! long an app without Ebb may refuse while it finishes.

use super::facts::Facts;
use super::state::{Leaving, Stage};
use crate::census::Snapshot;
use ebb_api::connections::{EventStreams, WebSockets};
use ebb_api::report::Protocol;
use std::time::{Duration, Instant};

/// How long before the deadline the port closes at the latest, so that what has come lately is not
/// cut together with what held the drain: most requests end within it, and a WebSocket has time for
/// its goodbye.
const LAST_CALL: Duration = Duration::from_secs(2);

/// How often the connections are looked at while something from before the signal is in flight. No
/// event tells of its end where others begin all the time.
const LOOK: Duration = Duration::from_millis(250);

impl Facts {
    /// The Service without another ready endpoint, if there is one.
    pub(crate) fn alone_in(&self) -> Option<&str> {
        let word = self.guidance()?;
        word.services.alone_in.as_deref()
    }

    /// Whether the pod goes on accepting because of it.
    pub(crate) fn goes_on_accepting(&self, leaving: &Leaving) -> bool {
        leaving.stage == Stage::LameDuck && self.alone_in().is_some()
    }

    /// Whether its port is closed all the same, and clients can still go nowhere else.
    pub(crate) fn refuses_alone(&self, leaving: &Leaving) -> bool {
        leaving.closed_alone && self.alone_in().is_some()
    }

    /// Until when the port of a pod that is alone may be closed.
    pub(crate) fn refusal_ends(&self, leaving: &Leaving) -> Option<Instant> {
        let closed = leaving
            .deregistered
            .filter(|_| self.refuses_alone(leaving))?;
        let own = Duration::from_secs(self.pod.original_grace_seconds.into());
        Some(closed + own.max(LAST_CALL))
    }

    /// When it stops accepting, whatever it waits for.
    pub(crate) fn last_call(&self, leaving: &Leaving) -> Instant {
        let drain = self
            .deadline(leaving)
            .saturating_duration_since(leaving.signal);
        leaving.signal + drain.saturating_sub(LAST_CALL.min(drain / 2))
    }

    /// Whether something is in flight that was so at the signal, and that no goodbye ends.
    pub(crate) fn has_old_work(&self, leaving: &Leaving, snapshot: &Snapshot) -> bool {
        let mut begun = snapshot.begun.iter();
        begun
            .any(|(protocol, begun)| *begun <= leaving.signal && !self.ends_with_goodbye(*protocol))
    }

    fn ends_with_goodbye(&self, protocol: Protocol) -> bool {
        let connections = &self.settings.connections;
        match protocol {
            Protocol::WebSocket => connections.web_sockets == WebSockets::Goodbye,
            Protocol::EventStream => connections.event_streams == EventStreams::End,
            Protocol::Http1 | Protocol::Http2 | Protocol::Opaque | Protocol::Tls => false,
        }
    }

    /// When to look again for the end of what it waits for.
    pub(crate) fn look_due(
        &self,
        leaving: &Leaving,
        snapshot: &Snapshot,
        now: Instant,
    ) -> Option<Instant> {
        let waits = self.goes_on_accepting(leaving) && self.has_old_work(leaving, snapshot);
        waits.then(|| now + LOOK)
    }
}
