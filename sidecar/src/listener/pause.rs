//! The pause after errors that come again, and while there is no room.

use std::time::Duration;
use tokio::time::Instant;

/// The first and the longest pause after an error that the next accept would meet again (no file
/// descriptors, no memory), and before a port is tried again that was taken.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// No connection is accepted meanwhile. After errors it is twice as long each time.
#[derive(Default)]
pub(super) struct Pause {
    length: Duration,
    until: Option<Instant>,
}

impl Pause {
    pub(super) fn longer(&mut self) {
        self.length = (self.length * 2).clamp(PAUSE.0, PAUSE.1);
        self.until = Some(Instant::now() + self.length);
    }

    /// A pause that has nothing to do with errors, and is never longer.
    pub(super) fn take(&mut self, length: Duration) {
        self.until = Some(Instant::now() + length);
    }

    pub(super) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Waits for its end; cancel safe.
    pub(super) async fn over(&mut self) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
            self.until = None;
        }
    }

    pub(super) fn forget(&mut self) {
        self.length = Duration::ZERO;
    }
}
