//! No local port is free for a connection to the app: counted, and said now and then.

use crate::log_limit::LogLimit;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Connections to the app for which no local port was free.
#[derive(Debug, Default)]
pub struct Shortage {
    waited: AtomicU64,
    lost: AtomicU64,
    lines: LogLimit,
}

impl Shortage {
    /// How many had to wait for a port.
    pub fn waited(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    /// How many of those got none in time, and cost a client its connection.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A connection to `app` begins to wait.
    pub(super) fn waits(&self, app: SocketAddr, now: Instant) {
        let waited = self.waited.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(skipped) = self.lines.allow(now) {
            tracing::warn!(%app, waited, lost = self.lost(), skipped, "no local port is free for a connection to the app, trying again");
        }
    }

    /// A connection that waited is given up.
    pub(super) fn gave_up(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}
