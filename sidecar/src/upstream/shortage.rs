//! No local port is free for a connection to the app: counted, and said now and then.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines of the log.
const SILENCE: Duration = Duration::from_secs(1);

/// Connections to the app for which no local port was free.
#[derive(Debug, Default)]
pub struct Shortage {
    waited: AtomicU64,
    lost: AtomicU64,
    said: Mutex<Option<Instant>>,
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
        if self.may_say(now) {
            tracing::warn!(%app, waited, lost = self.lost(), "no local port is free for a connection to the app, trying again");
        }
    }

    /// A connection that waited is given up.
    pub(super) fn gave_up(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn may_say(&self, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = said.is_none_or(|at| now.saturating_duration_since(at) >= SILENCE);
        if silent {
            *said = Some(now);
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many connections wait, the log says so once a second.
    #[test]
    fn the_log_is_not_flooded() {
        let shortage = Shortage::default();
        let start = Instant::now();
        let lines = (0..2_500)
            .filter(|millis| shortage.may_say(start + Duration::from_millis(*millis)))
            .count();
        assert_eq!(lines, 3);
    }
}
