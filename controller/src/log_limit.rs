//! Limits log lines that strangers can cause at will: a flood of connections is no flood of lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two lines.
const BETWEEN: Duration = Duration::from_secs(1);

/// Lets one line of a kind through per second, and counts those that it did not.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    skipped: u64,
}

impl LogLimit {
    /// The number of lines skipped since the last one, if a line may be written now; `None` if it
    /// is to be skipped, too.
    pub fn allow(&self, now: Instant) -> Option<u64> {
        // Nothing in here panics, and a count would be no worse for it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + BETWEEN) {
            state.skipped += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is written, then one a second, and none is forgotten.
    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_counts_the_others() {
        let start = Instant::now();
        let limit = LogLimit::default();
        let at = |tenth: u64| limit.allow(start + Duration::from_millis(100 * tenth));
        assert_eq!(at(0), Some(0));
        for tenth in 1..10 {
            assert_eq!(at(tenth), None);
        }
        assert_eq!((at(10), at(11), at(20)), (Some(9), None, Some(1)));
    }
}
