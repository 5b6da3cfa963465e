//! Wakes connections when what is wanted of them has changed: a few at a time.
//!
//! A `watch` wakes all who wait for it at once. Ten thousand goodbyes would then stand in the
//! runtime's queue before the next byte of anybody else, and the same number of clients would
//! close, and the app with them, in the same moment. Here all others have their turn after every
//! few. A connection that moves meanwhile sees the change by itself.

use crate::stance::{Conduct, Stance};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;

/// How many connections are woken before all others have their turn. Telling one to leave takes
/// some 20 us, and its close as much of the app. Fewer cost more in all: what they set off comes in
/// singly, and the process is woken for each.
const AT_ONCE: usize = 64;

/// How long that turn is at least: ten thousand are notified within a second or so.
const TURN: Duration = Duration::from_millis(4);

/// It is this multiple of what the ones before it took. What they set off comes back later and
/// costs as much again, so that half of the time is left to others: without this a slow core is
/// busy with goodbyes alone, and whoever else has a request waits for tenths of a second.
const OTHERS_SHARE: u32 = 3;

/// Knows how to wake every connection that has subscribed.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    subscribers: Mutex<Subscribers>,
}

/// A waker for each connection; places are used again.
#[derive(Debug, Default)]
struct Subscribers {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// One connection's place among the subscribers, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    notifier: Arc<Notifier>,
    number: usize,
    conduct: watch::Receiver<Conduct>,
    waker: Option<Waker>,
}

// === impl Notifier ===

impl Notifier {
    /// Subscribes a connection that does what `conduct` says.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        mut conduct: watch::Receiver<Conduct>,
    ) -> Subscription {
        // What was said before counts as new.
        conduct.mark_changed();
        let mut subscribers = self.subscribers();
        let number = subscribers.free.pop().unwrap_or_else(|| {
            subscribers.wakers.push(None);
            subscribers.wakers.len() - 1
        });
        drop(subscribers);
        Subscription {
            notifier: self.clone(),
            number,
            conduct,
            waker: None,
        }
    }

    /// Wakes the subscribers whenever `conduct` changes; never ends.
    pub(crate) async fn run(self: Arc<Self>, mut conduct: watch::Receiver<Conduct>) {
        while conduct.changed().await.is_ok() {
            // A change during the walk begins another one after it.
            let mut walked = 0;
            let mut began = Instant::now();
            while let Some(next) = self.wake_some(walked) {
                walked = next;
                // They take their turn now.
                yield_now().await;
                let stance = conduct.borrow().stance;
                // At the deadline nothing else is left to take time for.
                if stance != Stance::Cut {
                    sleep(TURN.max(began.elapsed() * OTHERS_SHARE)).await;
                }
                began = Instant::now();
            }
        }
        pending::<()>().await;
    }

    /// Wakes a few from this place on; returns where to go on, or `None` if those were the last.
    fn wake_some(&self, from: usize) -> Option<usize> {
        let subscribers = self.subscribers();
        let rest = subscribers.wakers.iter().enumerate().skip(from);
        let mut woken = rest.filter_map(|(number, waker)| Some((number, waker.as_ref()?)));
        let mut last = None;
        for (number, waker) in woken.by_ref().take(AT_ONCE) {
            waker.wake_by_ref();
            last = Some(number + 1);
        }
        last
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        // Nothing panics while the lock is held; what it guards is whole in any case.
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Subscription ===

impl Subscription {
    /// What is wanted, if that is something else than the last time. The task is woken for the next
    /// change.
    pub(crate) fn changed(&mut self, context: &Context<'_>) -> Option<Conduct> {
        let known = |waker: &Waker| waker.will_wake(context.waker());
        if !self.waker.as_ref().is_some_and(known) {
            self.waker = Some(context.waker().clone());
            // Before the look at what is wanted: a change after the look finds the waker.
            self.notifier.subscribers().wakers[self.number] = Some(context.waker().clone());
        }
        // An error means that nobody says anything any more: the last word counts.
        if !self.conduct.has_changed().unwrap_or(true) {
            return None;
        }
        let conduct = self.conduct.borrow_and_update();
        conduct.has_changed().then_some(*conduct)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.notifier.subscribers();
        subscribers.wakers[self.number] = None;
        subscribers.free.push(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;
    use tokio::task::JoinSet;

    /// Waits until it is notified to leave.
    async fn told(mut subscription: Subscription) {
        poll_fn(|context| match subscription.changed(context) {
            Some(conduct) if conduct.stance == Stance::Parting => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    fn parting() -> Conduct {
        Conduct {
            stance: Stance::Parting,
            ..Conduct::default()
        }
    }

    /// All are notified, and between two turns of anybody else no more than a few.
    #[tokio::test]
    async fn others_have_their_turn_behind_every_few() {
        const SUBSCRIBERS: usize = 4 * AT_ONCE + 1;
        let (say, conduct) = watch::channel(Conduct::default());
        let notifier = Arc::<Notifier>::default();
        // How many were notified since the last turn of anybody else.
        let (tell, mut turns) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for _ in 0..SUBSCRIBERS {
            let (subscription, tell) = (notifier.subscribe(conduct.clone()), tell.clone());
            tasks.spawn(async move {
                told(subscription).await;
                tell.send(()).unwrap();
            });
        }
        tasks.spawn(notifier.clone().run(conduct));
        while notifier.subscribers().wakers.iter().flatten().count() < SUBSCRIBERS {
            yield_now().await;
        }
        say.send(parting()).unwrap();
        let mut in_all = 0;
        while in_all < SUBSCRIBERS {
            yield_now().await;
            let mut since = 0;
            while turns.try_recv().is_ok() {
                since += 1;
            }
            assert!(since <= AT_ONCE, "{since} were told in one go");
            in_all += since;
        }
    }

    /// A late subscriber gets the newest at once, and one that has left is forgotten.
    #[tokio::test]
    async fn the_level_counts_and_not_the_moment() {
        let (say, conduct) = watch::channel(Conduct::default());
        let notifier = Arc::<Notifier>::default();
        say.send(parting()).unwrap();
        told(notifier.subscribe(conduct.clone())).await;
        drop(say);
        told(notifier.subscribe(conduct)).await;
        assert_eq!(notifier.subscribers().wakers.iter().flatten().count(), 0);
        assert_eq!(
            notifier.subscribers().wakers.len(),
            1,
            "the subscription was used again"
        );
    }
}
