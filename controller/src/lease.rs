//! Which replica leads: the one that holds a Lease in the controller's namespace.
//!
//! Every replica watches and answers the webhook. One of them plans, pushes, and writes statuses
//! and Events: two would outbid each other at the sidecars and overwrite each other's words. Three
//! things keep a second one from acting:
//!
//! - The API server gives the Lease to one holder at a time: each write names the version that it
//!   replaces.
//! - A holder stops by its own clock, [`GIVE_UP`] after it *sent* the last renewal that was taken;
//!   another replica takes over once it has seen no renewal for [`DURATION`] by *its* own. No clock
//!   is compared with another machine's, so a wrong one does no harm.
//! - Each change of hands has a higher [`Term`], which stands in every state that is pushed to a
//!   sidecar, and a sidecar takes no state of an earlier term. So a holder that was frozen together
//!   with its clock (a virtual machine that is paused), and goes on where it stood, moves no pod;
//!   a status or an Event it may write until its next renewal, which is refused.
//!
//! A crate would be welcome here. Those that were read compare the holder's clock with their own,
//! and begin again at the first term when somebody deletes the Lease.

mod claim;
mod hold;
#[cfg(test)]
mod tests;

pub use hold::{Candidate, release};

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The name of the Lease.
pub const LEASE: &str = "ebb-controller";

/// For how long nobody else takes a Lease that is not renewed, in whole seconds. (What Kubernetes'
/// own components have.)
pub const DURATION: Duration = Duration::from_secs(15);

/// How long after the sending of a renewal the holder gives up by itself: what it has sent until
/// then has five seconds to arrive before another begins.
pub const GIVE_UP: Duration = Duration::from_secs(10);

/// How often the holder renews, and another looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The Lease, as far as this process holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    term: u64,
    until: Instant,
}

/// Whether this replica leads, for all that only the leader does.
#[derive(Clone, Debug)]
pub struct Leadership {
    held: watch::Receiver<Option<Held>>,
    outbid: watch::Sender<u64>,
}

/// A time of leading, from winning the Lease until losing it.
#[derive(Clone, Debug)]
pub struct Term {
    number: u64,
    leadership: Leadership,
}

// === impl Leadership ===

impl Leadership {
    /// Waits until this replica leads.
    pub async fn won(&mut self) -> Term {
        loop {
            let held = *self.held.borrow_and_update();
            if let Some(held) = held
                && Instant::now() < held.until
            {
                return Term {
                    number: held.term,
                    leadership: self.clone(),
                };
            }
            if self.held.changed().await.is_err() {
                // Nobody is a candidate any more: the process ends.
                std::future::pending::<()>().await;
            }
        }
    }
}

// === impl Term ===

impl Term {
    /// Higher than that of every leader before.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether this replica leads at this moment. To be asked before everything that is written.
    pub fn holds(&self) -> bool {
        self.ends().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until this replica leads no longer, or in another term.
    pub async fn lost(&self) {
        let mut held = self.leadership.held.clone();
        loop {
            held.mark_unchanged();
            let Some(until) = self.ends() else { return };
            if Instant::now() >= until {
                return;
            }
            tokio::select! {
                changed = held.changed() => if changed.is_err() {
                    // It is not renewed any more.
                    return tokio::time::sleep_until(until).await;
                },
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// A controller has signed a state of a later term: if the Lease is still ours, it was deleted
    /// or restored from a backup meanwhile, and a term above that one is taken.
    pub fn outbid(&self, by: u64) {
        self.leadership.outbid.send_if_modified(|highest| {
            let higher = by > *highest;
            *highest = by.max(*highest);
            higher
        });
    }

    /// A term that is never lost.
    #[cfg(test)]
    pub(crate) fn for_ever(number: u64) -> Term {
        Term::until(number, Instant::now() + Duration::from_hours(24 * 365))
    }

    /// A term that ends then.
    #[cfg(test)]
    pub(crate) fn until(number: u64, until: Instant) -> Term {
        let held = Held {
            term: number,
            until,
        };
        Term {
            number,
            leadership: Leadership {
                held: watch::channel(Some(held)).1,
                outbid: watch::Sender::new(0),
            },
        }
    }

    fn ends(&self) -> Option<Instant> {
        let held = *self.leadership.held.borrow();
        held.filter(|held| held.term == self.number)
            .map(|held| held.until)
    }
}
