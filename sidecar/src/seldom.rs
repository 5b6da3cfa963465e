//! Lines of the log that strangers can cause: said, but not so often that they drown the rest.
//!
//! The controller's counts what it leaves out; here each line that needs a count has one of its own,
//! which is a metric, too. Both are too small for a crate to share.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines of one kind.
const SILENCE: Duration = Duration::from_secs(1);

/// One kind of line, which is worth saying once a second at most.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// True if the last line was long enough ago; this one counts as said then.
    pub(crate) fn may_say(&self, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// However often something happens, the log says so once a second.
    #[test]
    fn the_log_is_not_flooded() {
        let seldom = Seldom::default();
        let start = Instant::now();
        let lines = (0..2_500)
            .filter(|millis| seldom.may_say(start + Duration::from_millis(*millis)))
            .count();
        assert_eq!(lines, 3);
    }
}
