//! The process is ready once all named guards are dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

/// What the process still waits for before it is ready.
#[derive(Clone, Debug)]
pub struct Readiness {
    waiting: Arc<watch::Sender<BTreeSet<&'static str>>>,
    since: Instant,
}

/// One thing that is waited for; drop it when it is there.
#[derive(Debug)]
#[must_use = "dropping it reports that what it names is there"]
pub struct Guard {
    name: &'static str,
    readiness: Readiness,
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness {
            waiting: Arc::new(watch::Sender::new(BTreeSet::new())),
            since: Instant::now(),
        }
    }
}

impl Readiness {
    /// One more thing to wait for. Names are unique.
    pub fn guard(&self, name: &'static str) -> Guard {
        self.waiting.send_modify(|waiting| {
            waiting.insert(name);
        });
        Guard {
            name,
            readiness: self.clone(),
        }
    }

    /// The names of the guards that are still held; empty when the process is ready.
    pub fn waiting(&self) -> BTreeSet<&'static str> {
        self.waiting.borrow().clone()
    }

    /// Waits until all guards are dropped.
    pub async fn ready(&self) {
        let mut waiting = self.waiting.subscribe();
        waiting
            .wait_for(BTreeSet::is_empty)
            .await
            .expect("the sender is held by self");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Readiness { waiting, since } = &self.readiness;
        waiting.send_modify(|waiting| {
            waiting.remove(self.name);
        });
        let left = waiting.borrow().len();
        info!(got = self.name, left, after = ?since.elapsed(), "readiness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test_free::is_pending;

    /// Ready comes with the last guard, not before.
    #[tokio::test]
    async fn ready_when_the_last_guard_is_dropped() {
        let readiness = Readiness::default();
        let (pods, policies) = (readiness.guard("pods"), readiness.guard("policies"));
        drop(pods);
        assert!(is_pending(readiness.ready()).await);
        assert_eq!(readiness.waiting(), BTreeSet::from(["policies"]));
        drop(policies);
        readiness.ready().await;
    }

    /// One poll tells whether a future still waits, without any clock.
    mod tokio_test_free {
        use std::future::{Future, poll_fn};
        use std::task::Poll;

        pub(super) async fn is_pending(future: impl Future) -> bool {
            let mut future = std::pin::pin!(future);
            poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
        }
    }
}
