//! A connection of which only directions and silence are known.

use super::heartbeat::Heartbeats;
use std::time::{Duration, Instant};

/// Who spoke last on an opaque connection, and when anything moved.
///
/// After an answer the app spoke last: that tells waiting from idle without reading a byte. Where
/// the app has never said anything it takes and does not answer (logs, metrics), and silence alone
/// tells. Heartbeats are silence.
#[derive(Clone, Copy, Debug)]
pub struct Opaque {
    last: Option<Side>,
    client_spoke: bool,
    /// The app speaks on this connection, or is certain to.
    app_speaks: bool,
    /// Bytes of the app wait for the client.
    waits: bool,
    moved: Instant,
    patience: Duration,
    heartbeats: Heartbeats,
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
            app_speaks: false,
            waits: false,
            moved: now,
            patience,
            heartbeats: Heartbeats::default(),
        }
    }

    /// Waits for another time from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The app has spoken before, or must answer by the rules of what the client has said.
    pub fn expect_answers(&mut self) {
        self.app_speaks = true;
    }

    /// The client had said something before this connection was opaque.
    pub fn client_had_spoken(&mut self, now: Instant) {
        self.last = Some(Side::Client);
        self.client_spoke = true;
        self.moved = now;
    }

    /// One side said this many bytes.
    pub fn spoke(&mut self, side: Side, length: usize, now: Instant) {
        self.app_speaks |= side == Side::App;
        let before = (self.last, self.moved);
        if let Some(before) = self.heartbeats.spoke((side, length), before, now) {
            (self.last, self.moved) = before;
            return;
        }
        self.last = Some(side);
        self.client_spoke |= side == Side::Client;
        self.moved = now;
    }

    /// All that the app has said was handed to the client, or (`false`) waits for it.
    pub fn handed_over(&mut self, all: bool, now: Instant) {
        if self.waits && all {
            self.moved = now;
        }
        self.waits = !all;
    }

    /// Who spoke last.
    pub fn last(&self) -> Option<Side> {
        self.last
    }

    /// The client has spoken, and the app never.
    pub fn is_one_way(&self) -> bool {
        self.client_spoke && !self.app_speaks
    }

    /// From when on the connection is idle if nothing moves before; `None` while the client waits
    /// for an answer, or where it never asked for one.
    pub fn idle_at(&self) -> Option<Instant> {
        // Before heartbeats that began with the connection nobody had spoken.
        let may_rest = self.last != Some(Side::Client) || self.is_one_way();
        (self.client_spoke && may_rest).then(|| self.moved + self.patience)
    }

    /// True if nothing is in flight at `now`.
    pub fn is_idle(&self, now: Instant) -> bool {
        !self.client_spoke || self.idle_at().is_some_and(|at| at <= now)
    }
}
