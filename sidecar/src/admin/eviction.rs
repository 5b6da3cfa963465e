//! Which connection is closed when the admin port has as many as it may.
//!
//! Everybody who reaches the pod can take a slot, and kubelet's next hook call needs one. So the
//! connection that has sent no request for the longest time is evicted. Only those are pinned that
//! are known by the pod's token, or that follow the status by one of the few streams. Kubelet
//! repeats a call that met a closed connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The connections that may be evicted, by when they came or sent their last request.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// The slot of one connection.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    turn: Mutex<u64>,
    evicted: Arc<Notify>,
}

/// While this is there, its connection is not evicted.
#[derive(Debug)]
pub(super) struct Pinned(Arc<Slot>);

// === impl Slots ===

impl Slots {
    /// A slot for a connection that just came.
    pub(super) fn take(self: &Arc<Self>) -> Arc<Slot> {
        let evicted = Arc::new(Notify::new());
        let turn = self.queue().join(evicted.clone());
        Arc::new(Slot {
            slots: self.clone(),
            turn: Mutex::new(turn),
            evicted,
        })
    }

    /// Evicts the connection that has sent no request for the longest time, if any may be.
    pub(super) fn evict_one(&self) {
        if let Some((_, evicted)) = self.queue().waiting.pop_first() {
            evicted.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

impl Queue {
    fn join(&mut self, evicted: Arc<Notify>) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.waiting.insert(turn, evicted);
        turn
    }
}

// === impl Slot ===

impl Slot {
    /// Waits until the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A request came: now all others are evicted before this one.
    pub(super) fn asked(&self) {
        let mut turn = lock(&self.turn);
        let mut queue = self.slots.queue();
        queue.waiting.remove(&turn);
        *turn = queue.join(self.evicted.clone());
    }

    /// Keeps the slot for as long as the result is there.
    pub(super) fn pin(self: &Arc<Self>) -> Pinned {
        self.leave();
        Pinned(self.clone())
    }

    fn leave(&self) {
        let turn = *lock(&self.turn);
        self.slots.queue().waiting.remove(&turn);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.asked();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds a lock here can panic halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(slot: &Slot) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(slot.evicted()).poll(&mut context).is_ready()
    }

    /// Those are evicted that sent no request for longest; the pinned ones never, and the closed
    /// ones are forgotten.
    #[test]
    fn the_most_silent_goes_first() {
        let slots = Arc::new(Slots::default());
        let [a, b, c, d] = std::array::from_fn(|_| slots.take());
        a.asked();
        let pinned = b.pin();
        drop(c);
        slots.evict_one();
        assert_eq!(
            [&a, &b, &d].map(|slot| is_evicted(slot)),
            [false, false, true]
        );
        slots.evict_one();
        slots.evict_one();
        assert_eq!([&a, &b].map(|slot| is_evicted(slot)), [true, false]);
        drop(pinned);
        slots.evict_one();
        assert!(is_evicted(&b));
    }
}
