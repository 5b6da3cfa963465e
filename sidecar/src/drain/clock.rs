//! When a drain must end: durations on this process's monotonic clock, and nobody else's.

use std::time::{Duration, Instant};

/// What lies between the last moment for the hook's answer and the moment when kubelet gives up on
/// it. It pays for kubelet's call to reach us and for the answer to get back; without it kubelet
/// writes a `FailedPreStopHook` event for a drain that used its whole time.
pub(crate) const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// A grace period as kubelet counts it: a duration from its own start of killing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace {
    /// When it began, as near as we can tell: the first hook call.
    pub(crate) from: Instant,
    /// How long it is.
    pub(crate) length: Duration,
}

/// The last moment of a drain that was signalled at `signal` and may take `timeout`, when the app
/// is owed `shutdown` after it. Without a grace (no hook has been called yet) the timeout alone
/// counts.
pub(crate) fn deadline(
    signal: Instant,
    timeout: Duration,
    shutdown: Duration,
    grace: Option<Grace>,
) -> Instant {
    let by_policy = signal + timeout;
    let Some(grace) = grace else { return by_policy };
    let usable = grace
        .length
        .saturating_sub(owed(timeout, shutdown, grace.length))
        .saturating_sub(ANSWER_MARGIN);
    by_policy.min(grace.from + usable)
}

/// What the app is left of a grace that does not hold everything: its shutdown time shrinks first,
/// but never below half of the grace.
fn owed(timeout: Duration, shutdown: Duration, grace: Duration) -> Duration {
    let beside_the_drain = grace.saturating_sub(timeout).saturating_sub(ANSWER_MARGIN);
    shutdown.min(beside_the_drain.max(grace / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds_for(timeout: u64, shutdown: u64, grace: u64) -> f64 {
        let start = Instant::now();
        let grace = Grace {
            from: start,
            length: Duration::from_secs(grace),
        };
        let timeout = Duration::from_secs(timeout);
        let shutdown = Duration::from_secs(shutdown);
        (deadline(start, timeout, shutdown, Some(grace)) - start).as_secs_f64()
    }

    /// The grace that the webhook gives holds the whole timeout.
    #[test]
    fn a_grace_made_for_the_policy_leaves_the_whole_timeout() {
        assert_eq!(seconds_for(300, 30, 335), 300.0);
    }

    /// The app's shutdown gives way first, down to half of the grace; then the drain does.
    #[test]
    fn too_small_a_grace_shrinks_the_shutdown_first() {
        assert_eq!(seconds_for(20, 30, 45), 20.0, "24 s are left for the app");
        assert_eq!(seconds_for(300, 30, 5), 1.5, "half of 5 s, less a second");
        assert_eq!(seconds_for(300, 2, 30), 27.0, "a short shutdown is kept");
        assert_eq!(seconds_for(300, 30, 1), 0.0, "nothing, but no underflow");
    }

    /// The hook may come long after the controller's word; both limits hold.
    #[test]
    fn the_grace_counts_from_the_first_hook() {
        let signal = Instant::now();
        let grace = Grace {
            from: signal + Duration::from_secs(9),
            length: Duration::from_secs(12),
        };
        let at = |grace| {
            deadline(
                signal,
                Duration::from_secs(300),
                Duration::from_secs(2),
                grace,
            )
        };
        assert_eq!(at(Some(grace)) - signal, Duration::from_secs(9 + 9));
        assert_eq!(at(None) - signal, Duration::from_secs(300));
    }
}
