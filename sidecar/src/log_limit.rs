//! Limits log lines that strangers can cause at will: a flood of connections is no flood of lines.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines.
const BETWEEN: Duration = Duration::from_secs(1);

/// Lets one line of a kind through per second, and counts those that it did not.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    skipped: u64,
}

impl LogLimit {
    /// The number of lines skipped since the last one, if a line may be written now; `None` if it
    /// is to be skipped, too.
    pub(crate) fn allow(&self, now: Instant) -> Option<u64> {
        // Nothing in here panics, and a count would be no worse for it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |last| now.saturating_duration_since(last);
        if state.last.is_some_and(|last| since(last) < BETWEEN) {
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

    /// However often something happens, the log says so once a second, and how often it did not.
    #[test]
    fn the_log_is_not_flooded() {
        let limit = LogLimit::default();
        let start = Instant::now();
        let lines: Vec<u64> = (0..2_500)
            .filter_map(|millis| limit.allow(start + Duration::from_millis(millis)))
            .collect();
        assert_eq!(lines, [0, 999, 999]);
    }
}
