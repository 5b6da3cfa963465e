//! A connection of which only directions and silence are known.

use std::time::{Duration, Instant};

/// Who spoke last on an opaque connection, and when anything moved.
///
/// After an answer the app spoke last: that tells waiting from idle without reading a byte.
#[derive(Clone, Copy, Debug)]
pub struct Opaque {
    last: Option<Side>,
    client_spoke: bool,
    moved: Instant,
    patience: Duration,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that connected to us.
    Client,
    /// The end that we connected to.
    App,
}

impl Opaque {
    /// A connection on which nobody has spoken; it will be idle when nothing has moved for
    /// `patience` after the app spoke.
    pub fn new(now: Instant, patience: Duration) -> Opaque {
        Opaque {
            last: None,
            client_spoke: false,
            moved: now,
            patience,
        }
    }

    /// Waits for another time from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// One side sent something.
    pub fn spoke(&mut self, side: Side, now: Instant) {
        self.last = Some(side);
        self.client_spoke |= side == Side::Client;
        self.moved = now;
    }

    /// What had waited was handed over.
    pub fn moved(&mut self, now: Instant) {
        self.moved = now;
    }

    /// Who spoke last.
    pub fn last(&self) -> Option<Side> {
        self.last
    }

    /// From when on the connection is idle if nothing moves before; `None` while the client waits
    /// for an answer, or where it never asked for one.
    pub fn idle_at(&self) -> Option<Instant> {
        (self.client_spoke && self.last == Some(Side::App)).then(|| self.moved + self.patience)
    }

    /// True if nothing is in flight at `now`.
    pub fn is_idle(&self, now: Instant) -> bool {
        !self.client_spoke || self.idle_at().is_some_and(|at| at <= now)
    }
}
