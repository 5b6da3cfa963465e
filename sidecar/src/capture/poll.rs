//! Polls the sockets of the pod: nothing tells when one changes.

use super::kernel::Sockets;
use super::observer::{Observer, Rules};
use crate::log_limit::LogLimit;
use crate::upstream::ALIASES;
use std::time::{Duration, Instant};

/// How often they are looked at while the pod leaves, and how new a look is that somebody asks for.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// After a look the pause is at least this multiple of the look's own duration. Ten thousand
/// connections cost some 8 ms a look, measured: then they are looked at six times a second, and
/// take at most a twentieth of a core.
const SHARE: u32 = 20;

/// But it is never longer than this. A look takes as long as the process has to wait for its share
/// of a core, and what is decided of a pod that leaves must not be about a time long ago.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a look may take. It is memory to memory; what takes longer must not keep a hook
/// waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at the pod's sockets for an [`Observer`].
#[derive(Debug)]
pub(crate) struct SocketPoller {
    observer: Observer,
    /// When the last look began, and when the next one may.
    looked: Option<(Instant, Instant)>,
    /// Why the last look failed, if it did.
    blind: Option<String>,
    complaints: LogLimit,
}

// === impl SocketPoller ===

impl SocketPoller {
    pub(crate) fn new(observer: Observer) -> SocketPoller {
        SocketPoller {
            observer,
            looked: None,
            blind: None,
            complaints: LogLimit::default(),
        }
    }

    /// Makes the census say what is so now, or was so at most [`INTERVAL`] ago (longer ago where a
    /// look is expensive).
    pub(crate) async fn look(&mut self, rules: Rules) {
        let began = Instant::now();
        if self.next(began) > began {
            return;
        }
        let (four, six) = ALIASES;
        let listing = Sockets::list([four.into(), six.into()]);
        let listed = match tokio::time::timeout(PATIENCE, listing).await {
            Ok(listed) => listed.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        };
        match listed {
            Ok(sockets) => {
                self.observer.look(&sockets, rules, Instant::now());
                self.blind = None;
            }
            Err(error) => {
                if let Some(skipped) = self.complaints.allow(began) {
                    tracing::warn!(%error, skipped, "the kernel does not tell of the app's connections");
                }
                self.blind = Some(format!(
                    "the kernel does not tell of the app's connections ({error}), so they are neither counted nor waited for"
                ));
            }
        }
        let cost = began.elapsed();
        self.looked = Some((began, began + cost + pause(cost)));
    }

    /// The next look is due at once: something is about to be decided by it.
    pub(crate) fn look_again(&mut self) {
        self.looked = None;
    }

    /// Connections to this port are not the app's any more.
    pub(crate) fn leave_out(&mut self, port: u16) {
        self.observer.leave_out(port);
    }

    /// When the next look is due while the pod leaves.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        self.looked.map_or(now, |(_, next)| next)
    }

    /// Why the sockets can't be seen, if so.
    pub(crate) fn blind(&self) -> Option<&str> {
        self.blind.as_deref()
    }
}

/// The pause after a look that took so long.
fn pause(cost: Duration) -> Duration {
    (cost * SHARE).clamp(INTERVAL, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks take a small share of a core, but on a busy one they go on.
    #[test]
    fn looks_go_on_whatever_they_cost() {
        let milliseconds = Duration::from_millis;
        assert_eq!(pause(milliseconds(1)), INTERVAL);
        assert_eq!(pause(milliseconds(8)), milliseconds(160));
        assert_eq!(pause(PATIENCE), LONGEST_PAUSE);
    }
}
