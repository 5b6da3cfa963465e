//! Who has to go when the admin port has as many connections as it may.
//!
//! Whoever reaches the pod can take a place, and kubelet's next hook call needs one. So the
//! connection that has asked nothing for the longest time makes room, and only who is known by the
//! pod's token, or follows the status by one of the few streams, keeps its place meanwhile. Kubelet
//! repeats a call that met a closed connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Those that may have to go, by when they came or last asked.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    turn: Mutex<u64>,
    must_go: Arc<Notify>,
}

/// While this is there, a connection need not go.
#[derive(Debug)]
pub(super) struct Kept(Arc<Seat>);

// === impl Seats ===

impl Seats {
    /// A place for a connection that just came.
    pub(super) fn take(self: &Arc<Self>) -> Arc<Seat> {
        let must_go = Arc::new(Notify::new());
        let turn = self.queue().join(must_go.clone());
        Arc::new(Seat {
            seats: self.clone(),
            turn: Mutex::new(turn),
            must_go,
        })
    }

    /// Tells the first of those that may have to go that it has to.
    pub(super) fn make_room(&self) {
        if let Some((_, must_go)) = self.queue().waiting.pop_first() {
            must_go.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

impl Queue {
    fn join(&mut self, must_go: Arc<Notify>) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.waiting.insert(turn, must_go);
        turn
    }
}

// === impl Seat ===

impl Seat {
    /// Waits until the connection has to go.
    pub(super) async fn must_go(&self) {
        self.must_go.notified().await;
    }

    /// A request came: now all others have to go first.
    pub(super) fn asked(&self) {
        let mut turn = lock(&self.turn);
        let mut queue = self.seats.queue();
        queue.waiting.remove(&turn);
        *turn = queue.join(self.must_go.clone());
    }

    /// Keeps the place.
    pub(super) fn keep(self: &Arc<Self>) -> Kept {
        self.leave();
        Kept(self.clone())
    }

    fn leave(&self) {
        let turn = *lock(&self.turn);
        self.seats.queue().waiting.remove(&turn);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Kept {
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

    fn has_to_go(seat: &Seat) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(seat.must_go()).poll(&mut context).is_ready()
    }

    /// Those that are asked to go are the ones that asked nothing for longest; the kept ones never,
    /// and the gone ones are forgotten.
    #[test]
    fn the_most_silent_goes_first() {
        let seats = Arc::new(Seats::default());
        let [a, b, c, d] = std::array::from_fn(|_| seats.take());
        a.asked();
        let kept = b.keep();
        drop(c);
        seats.make_room();
        assert_eq!(
            [&a, &b, &d].map(|seat| has_to_go(seat)),
            [false, false, true]
        );
        seats.make_room();
        seats.make_room();
        assert_eq!([&a, &b].map(|seat| has_to_go(seat)), [true, false]);
        drop(kept);
        seats.make_room();
        assert!(has_to_go(&b));
    }
}
