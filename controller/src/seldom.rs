//! What strangers can cause at will is logged, but seldom: a flood of connections is no flood of lines.
//!
//! The sidecar has one like it that counts nothing: most of what it leaves out is counted elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two lines.
const BETWEEN: Duration = Duration::from_secs(1);

/// Says when the next line of a kind may be written.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Seldom {
    /// Whether a line may be written now; if so, how many have been left out since the one before.
    pub fn may(&self, now: Instant) -> Option<u64> {
        // Nothing in here panics, and a count would be no worse for it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + BETWEEN) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is written, then one a second, and none is forgotten.
    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_counts_the_others() {
        let start = Instant::now();
        let seldom = Seldom::default();
        let at = |tenth: u64| seldom.may(start + Duration::from_millis(100 * tenth));
        assert_eq!(at(0), Some(0));
        for tenth in 1..10 {
            assert_eq!(at(tenth), None);
        }
        assert_eq!((at(10), at(11), at(20)), (Some(9), None, Some(1)));
    }
}
