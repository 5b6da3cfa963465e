//! A leaving pod that clients find by DNS alone.
//!
//! The endpoints are gone, and still clients come by the answer that they have, until it expires.
//! To them the pod is in its Services until then: it accepts, and tells nobody to leave, since they
//! would only come back.

use super::facts::Facts;
use super::state::{Leaving, Stage};
use crate::census::milliseconds;
use std::time::{Duration, Instant};

/// What is left of a short drain for all that follows: quiet, goodbyes and what is in flight.
const RESERVE: Duration = Duration::from_secs(10);

/// What the lame-duck phase may take after the answers have expired, beside the quiet time, where
/// its greatest length is over by then: readiness has to be withdrawn, and that seen.
const SETTLING: Duration = Duration::from_secs(4);

impl Facts {
    /// Until when answers of DNS name the pod, which is out of the endpoints. `None` where it is
    /// not, where there are other ways to it, or where its clients can go nowhere else: then the
    /// answer that they have is as good as any.
    pub(super) fn dns_until(&self, leaving: &Leaving) -> Option<Instant> {
        let word = self.guidance().filter(|_| self.alone_in().is_none())?;
        let lives = Duration::from_secs(word.services.dns_seconds?.into());
        let drain = self.deadline(leaving);
        let drain = drain.saturating_duration_since(leaving.signal);
        let room = drain.saturating_sub(RESERVE).max(drain / 2);
        Some((word.gone? + lives).min(leaving.signal + room))
    }

    /// Until when the lame-duck phase may last, whatever its greatest length, so that all of its
    /// steps follow the last answer.
    pub(super) fn dns_settled(&self, leaving: &Leaving) -> Option<Instant> {
        let until = self.dns_until(leaving)?;
        Some(until + self.quiet() + SETTLING)
    }

    /// For how long the pod goes on accepting because of it, in milliseconds.
    pub(super) fn dns_ms(&self, leaving: &Leaving, now: Instant) -> Option<u64> {
        let until = self.dns_until(leaving)?;
        let left = until.saturating_duration_since(now);
        let goes_on = leaving.stage == Stage::LameDuck && !left.is_zero();
        goes_on.then(|| milliseconds(left))
    }
}
