//! Which sidecar gets its state next: pure bookkeeping, the time comes in as `now`.

use super::put::{Accepted, Peer};
use ebb_model::plan::Wanted;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio::time::Instant;

/// The number of failures in a row that make a sidecar unreachable: a sidecar can be seen as
/// running a moment before the network of its pod is.
pub const FAILURES_UNTIL_UNREACHABLE: u32 = 3;

/// The number of attempts for serving pods at the same time. Those for leaving pods have no limit.
const SERVING_AT_ONCE: usize = 64;

/// The first and the longest wait after a failed attempt for a serving pod: one that a
/// NetworkPolicy keeps out of reach is tried for as long as it lives.
const SERVING_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// After how long a serving pod gets again what it has: by that it knows that a controller is
/// there, and its answer says how it is. With as much as the second on top, which differs from pod
/// to pod: ten thousand are not all due in the same moment.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30));

/// The same for a leaving pod, which has no time to lose.
const LEAVING_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The state that is wanted of every sidecar, and the one that each has accepted.
#[derive(Debug, Default)]
pub struct Queue {
    entries: HashMap<String, Entry>,
    /// Which pods are due when. Leaving pods have a queue of their own, so that they never wait for
    /// others.
    leaving: BTreeSet<(Instant, String)>,
    serving: BTreeSet<(Instant, String)>,
    /// The number of serving pods with an attempt under way.
    serving_busy: usize,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    accepted: Option<Wanted>,
    peer: Option<Peer>,
    failures: u32,
    /// Which queue the attempt under way came from.
    busy: Option<Busy>,
    /// When it is due, if it is in a queue.
    due: Option<Instant>,
    /// Since when the pod has been leaving and its sidecar has not accepted that.
    leaving_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    Serving,
    Leaving,
}

/// The attempt to begin next. One that is under way for the same sidecar is given up.
#[derive(Debug, PartialEq)]
pub struct Next {
    /// The state.
    pub wanted: Wanted,
    /// Which start of the sidecar accepted a state last, if that is known.
    pub peer: Option<Peer>,
}

impl Queue {
    /// How many sidecars there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in the state that is wanted of a sidecar now.
    pub fn want(&mut self, wanted: Wanted, now: Instant) {
        let pod = wanted.pod.clone();
        let Some(entry) = self.entries.get_mut(&pod) else {
            let leaving_since = wanted.leave.map(|_| now);
            let entry = Entry {
                wanted,
                accepted: None,
                peer: None,
                failures: 0,
                busy: None,
                due: None,
                leaving_since,
            };
            self.entries.insert(pod.clone(), entry);
            self.enqueue(&pod, now);
            return;
        };
        if entry.wanted == wanted {
            return;
        }
        if entry.wanted.restarts != wanted.restarts || entry.wanted.address != wanted.address {
            // Another start has accepted nothing, and its mode may be another.
            (entry.accepted, entry.peer) = (None, None);
        }
        if entry.wanted.leave.is_none() && wanted.leave.is_some() {
            entry.leaving_since = Some(now);
        }
        entry.failures = 0;
        entry.wanted = wanted;
        self.dequeue(&pod);
        self.enqueue_next(&pod, now);
    }

    /// Forgets a sidecar that is gone.
    pub fn forget(&mut self, pod: &str) {
        self.dequeue(pod);
        if let Some(entry) = self.entries.remove(pod)
            && entry.busy == Some(Busy::Serving)
        {
            self.serving_busy -= 1;
        }
    }

    /// The attempt to begin now, or `None` if there is none before [`Queue::wake`]. Call it until
    /// it returns `None`.
    pub fn next(&mut self, now: Instant) -> Option<Next> {
        let due = |queue: &BTreeSet<(Instant, String)>| match queue.first() {
            Some((at, pod)) if *at <= now => Some(pod.clone()),
            _ => None,
        };
        let pod = match due(&self.leaving) {
            Some(pod) => pod,
            None if self.serving_busy < SERVING_AT_ONCE => due(&self.serving)?,
            None => return None,
        };
        self.dequeue(&pod);
        let entry = self
            .entries
            .get_mut(&pod)
            .expect("what is in a queue has an entry");
        if entry.busy == Some(Busy::Serving) {
            self.serving_busy -= 1;
        }
        let busy = match entry.wanted.leave {
            Some(_) => Busy::Leaving,
            None => Busy::Serving,
        };
        entry.busy = Some(busy);
        if busy == Busy::Serving {
            self.serving_busy += 1;
        }
        Some(Next {
            wanted: entry.wanted.clone(),
            peer: entry.peer.clone(),
        })
    }

    /// When an attempt is due next; `None` if only an event can change that.
    pub fn wake(&self) -> Option<Instant> {
        let leaving = self.leaving.first();
        let serving = self
            .serving
            .first()
            .filter(|_| self.serving_busy < SERVING_AT_ONCE);
        leaving.into_iter().chain(serving).map(|(at, _)| *at).min()
    }

    /// Takes note of an attempt that succeeded. Returns how long a leaving pod had waited for it.
    pub fn accepted(&mut self, pod: &str, accepted: &Accepted, now: Instant) -> Option<Duration> {
        let entry = self.end_attempt(pod)?;
        entry.failures = 0;
        entry.peer = Some(accepted.peer.clone());
        entry.accepted = Some(accepted.wanted.clone());
        let waited = match accepted.wanted.leave {
            Some(_) => entry.leaving_since.take().map(|since| now - since),
            None => None,
        };
        self.enqueue_next(pod, now);
        waited
    }

    /// Takes note of an attempt that failed. Returns how many have failed in a row.
    pub fn failed(&mut self, pod: &str, now: Instant) -> u32 {
        let Some(entry) = self.end_attempt(pod) else {
            return 0;
        };
        entry.failures = entry.failures.saturating_add(1);
        // The next attempt asks whether this is still the start that was known.
        entry.peer = None;
        let failures = entry.failures;
        let (first, most) = match entry.wanted.leave {
            Some(_) => LEAVING_RETRY,
            None => SERVING_RETRY,
        };
        let wait = first.saturating_mul(1 << (failures - 1).min(16)).min(most);
        self.enqueue(pod, now + wait);
        failures
    }

    fn end_attempt(&mut self, pod: &str) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(pod)?;
        if entry.busy.take() == Some(Busy::Serving) {
            self.serving_busy -= 1;
        }
        Some(entry)
    }

    /// Puts a pod in its queue for the moment when it needs the next word.
    fn enqueue_next(&mut self, pod: &str, now: Instant) {
        let Some(entry) = self.entries.get(pod) else {
            return;
        };
        let has_it = entry.accepted.as_ref() == Some(&entry.wanted);
        match (has_it, entry.wanted.leave) {
            (false, _) => self.enqueue(pod, now),
            (true, None) => self.enqueue(pod, now + again(pod)),
            // Its stream of reports is followed.
            (true, Some(_)) => {}
        }
    }

    /// Puts a pod in its queue, unless an attempt under way will bring it back here.
    fn enqueue(&mut self, pod: &str, at: Instant) {
        let Some(entry) = self.entries.get_mut(pod) else {
            return;
        };
        let leaving = entry.wanted.leave.is_some();
        let overtakes = leaving && entry.busy == Some(Busy::Serving);
        if entry.due.is_some() || (entry.busy.is_some() && !overtakes) {
            return;
        }
        entry.due = Some(at);
        let queue = match leaving {
            true => &mut self.leaving,
            false => &mut self.serving,
        };
        queue.insert((at, pod.to_owned()));
    }

    fn dequeue(&mut self, pod: &str) {
        if let Some(due) = self.entries.get_mut(pod).and_then(|entry| entry.due.take()) {
            let entry = (due, pod.to_owned());
            self.leaving.remove(&entry);
            self.serving.remove(&entry);
        }
    }
}

fn again(pod: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    pod.hash(&mut hasher);
    let (least, more) = AGAIN;
    least + more * u32::from((hasher.finish() % 100) as u8) / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::desired::{Endpoints, Leave, Revision, Services};
    use ebb_api::phase::Trigger;
    use ebb_api::settings::Settings;

    fn wanted(pod: &str) -> Wanted {
        Wanted {
            address: ([127, 0, 0, 1], 1).into(),
            pod: pod.to_owned(),
            namespace: "shop".to_owned(),
            name: pod.to_owned(),
            key: "k1".to_owned(),
            restarts: 0,
            settings: Settings::without_policy(),
            leave: None,
            endpoints: Endpoints::Present,
            services: Services::default(),
        }
    }

    fn leaving(pod: &str) -> Wanted {
        Wanted {
            leave: Some(Leave {
                trigger: Trigger::Deleted,
                grace_seconds: None,
            }),
            ..wanted(pod)
        }
    }

    fn accepted(wanted: Wanted) -> Accepted {
        let peer = Peer {
            boot: "b1".to_owned(),
            revision: Revision::new(0, 1),
        };
        Accepted {
            wanted,
            peer,
            contact: None,
        }
    }

    fn next(queue: &mut Queue, now: Instant) -> Option<Wanted> {
        queue.next(now).map(|next| next.wanted)
    }

    /// Of a thousand serving pods some have an attempt at a time; a leaving one has its own at
    /// once.
    #[tokio::test(start_paused = true)]
    async fn a_leaving_pod_does_not_wait_for_serving_ones() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for pod in 0..1000 {
            queue.want(wanted(&pod.to_string()), now);
        }
        let mut under_way = 0;
        while next(&mut queue, now).is_some() {
            under_way += 1;
        }
        assert_eq!(under_way, SERVING_AT_ONCE);
        queue.want(leaving("999"), now);
        assert_eq!(next(&mut queue, now), Some(leaving("999")));
        // Also one for which another attempt is under way at this moment.
        queue.want(leaving("0"), now);
        assert_eq!(next(&mut queue, now), Some(leaving("0")));
        // The place that it gave up is free.
        assert!(next(&mut queue, now).is_some());
        assert_eq!(next(&mut queue, now), None);
    }

    /// What changes while an attempt is under way follows after it; what does not is not repeated.
    #[tokio::test(start_paused = true)]
    async fn the_newest_state_is_put_and_only_once() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.want(wanted("a"), now);
        let first = next(&mut queue, now).unwrap();
        let mut changed = wanted("a");
        changed.settings.timeout_seconds = 7;
        queue.want(changed.clone(), now);
        assert_eq!(next(&mut queue, now), None, "one attempt at a time");
        queue.accepted("a", &accepted(first), now);
        assert_eq!(next(&mut queue, now), Some(changed.clone()));
        queue.accepted("a", &accepted(changed.clone()), now);
        queue.want(changed, now);
        assert_eq!(next(&mut queue, now), None);
    }

    /// A serving pod hears from the controller again and again, and a failure is no reason to stop;
    /// a leaving one is followed instead.
    #[tokio::test(start_paused = true)]
    async fn a_serving_pod_hears_of_it_again() {
        let mut now = Instant::now();
        let mut queue = Queue::default();
        queue.want(wanted("a"), now);
        for _ in 0..3 {
            let put = next(&mut queue, now).unwrap();
            queue.accepted("a", &accepted(put), now);
            let due = queue.wake().unwrap();
            let (least, more) = AGAIN;
            assert!((least..=least + more).contains(&(due - now)));
            now = due;
        }
        next(&mut queue, now).unwrap();
        queue.failed("a", now);
        assert_eq!(queue.wake(), Some(now + SERVING_RETRY.0));
        // Another state, and back before it was put: there is nothing to do but to repeat it.
        let mut changed = wanted("a");
        changed.settings.timeout_seconds = 7;
        queue.want(changed, now);
        queue.want(wanted("a"), now);
        assert!(queue.wake().unwrap() > now + SERVING_RETRY.0);
        queue.want(leaving("a"), now);
        let put = next(&mut queue, now).unwrap();
        queue.accepted("a", &accepted(put), now);
        assert_eq!(queue.wake(), None);
    }

    /// Failures wait longer and longer; a change does not wait.
    #[tokio::test(start_paused = true)]
    async fn failures_back_off_until_something_changes() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.want(wanted("a"), now);
        let mut at = now;
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(next(&mut queue, at).is_some());
            queue.failed("a", at);
            assert_eq!(queue.wake(), Some(at + Duration::from_secs(seconds)));
            at += Duration::from_secs(seconds);
        }
        queue.next(at);
        queue.failed("a", at);
        queue.want(leaving("a"), at);
        assert_eq!(next(&mut queue, at), Some(leaving("a")));
        queue.failed("a", at);
        assert_eq!(queue.wake(), Some(at + Duration::from_millis(100)));
    }

    /// From the deletion to the sidecar having accepted it is measured once per pod.
    #[tokio::test(start_paused = true)]
    async fn the_wait_of_a_leaving_pod_is_measured_once() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.want(leaving("a"), now);
        let first = next(&mut queue, now).unwrap();
        let later = now + Duration::from_millis(30);
        assert_eq!(
            queue.accepted("a", &accepted(first), later),
            Some(Duration::from_millis(30))
        );
        let gone = Wanted {
            endpoints: Endpoints::Gone,
            ..leaving("a")
        };
        queue.want(gone, later);
        let second = next(&mut queue, later).unwrap();
        assert_eq!(queue.accepted("a", &accepted(second), later), None);
    }

    /// Places of forgotten pods are free again.
    #[tokio::test(start_paused = true)]
    async fn forgetting_leaves_nothing_behind() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.want(wanted("a"), now);
        queue.next(now);
        queue.want(wanted("b"), now);
        queue.forget("a");
        queue.forget("b");
        assert!(queue.is_empty() && queue.serving_busy == 0);
        assert_eq!((next(&mut queue, now), queue.wake()), (None, None));
    }
}
