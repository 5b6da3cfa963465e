//! What the drain machine and the policy want of the relay.

use ebb_api::connections::ConnectionSettings;
use std::time::{Duration, Instant};

/// How the relay treats connections, and by which settings. It is a level, not an event: handed
/// over in a `tokio::sync::watch`, so a connection that looks late sees the newest, and a changed
/// policy holds for the connections that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// What is done.
    pub stance: Stance,
    /// When it is done to long-lived connections, from [`Stance::Parting`] on; `None` means at
    /// once.
    pub pace: Option<Pace>,
    /// The policy's settings of how.
    pub connections: ConnectionSettings,
}

/// A time over which goodbyes are spread, so that not all clients connect elsewhere in one second:
/// each connection has a moment of its own in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// When it begins.
    pub from: Instant,
    /// How long it is.
    pub length: Duration,
}

/// What the relay does about connections, from the gentlest to the last.
///
/// It can go back to [`Stance::Serving`] from any of them: a drain that kubelet began for a restart
/// of the app's container, or that was never followed by SIGTERM, heals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stance {
    /// Accept; bytes pass unchanged.
    #[default]
    Serving,
    /// Accept; every connection gets its protocol's goodbye at the first moment that loses nothing.
    Parting,
    /// Accept what the kernel has queued, then close the listener in the same tick; goodbyes go on.
    Draining,
    /// The app is gone or about to go: idle connections are closed, and a request that still comes
    /// is answered by the relay with 503.
    Closing,
    /// The deadline: whatever is in flight is cut, so that it can't pass for whole, and counted.
    Cut,
}

// === impl Stance ===

impl Stance {
    /// Whether new connections are taken in.
    pub fn accepts(self) -> bool {
        self < Stance::Draining
    }
}

// === impl Pace ===

impl Pace {
    /// The moment of the connection at this place, which is a part of 2^32 of the whole.
    pub fn turn(&self, place: u32) -> Instant {
        let nanoseconds = (self.length.as_nanos() * u128::from(place)) >> 32;
        // It is less than the length, of which 584 years fit.
        self.from + Duration::from_nanos(nanoseconds as u64)
    }

    /// When the last of them has come.
    pub fn ends(&self) -> Instant {
        self.from + self.length
    }
}
