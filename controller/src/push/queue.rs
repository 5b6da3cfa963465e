//! Who is told next: pure bookkeeping, the time comes in as `now`.

use super::put::{Known, Told};
use crate::plan::Wanted;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// After how many failures in a row a sidecar is said to be unreachable: a sidecar can be seen as
/// running a moment before the network of its pod is.
pub const FAILURES_UNTIL_UNREACHABLE: u32 = 3;

/// How many serving pods are told at the same time. Leaving ones are told at once, all of them.
const SERVING_AT_ONCE: usize = 64;

/// How long a serving pod that could not be told waits first, and at most: every pod behind a
/// NetworkPolicy is asked again for as long as it lives.
const SERVING_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The same for a leaving pod, which has no time to lose.
const LEAVING_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What is wanted of every sidecar, and what each was told.
#[derive(Debug, Default)]
pub struct Posts {
    posts: HashMap<String, Post>,
    /// Who is due when. Leaving pods stand apart, so that they never queue behind others.
    leaving: BTreeSet<(Instant, String)>,
    serving: BTreeSet<(Instant, String)>,
    /// How many serving pods are being told.
    serving_busy: usize,
}

#[derive(Debug)]
struct Post {
    wanted: Wanted,
    told: Option<Wanted>,
    known: Option<Known>,
    failures: u32,
    /// What the attempt under way carries.
    busy: Option<Busy>,
    /// When it is due, if it stands in a queue.
    due: Option<Instant>,
    /// Since when the pod has been leaving without having been told.
    leaving_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    Serving,
    Leaving,
}

/// Which sidecar to tell next. Whatever was under way for it is given up.
#[derive(Debug, PartialEq)]
pub struct Next {
    /// What.
    pub wanted: Wanted,
    /// Which start of it was told last, if that is known.
    pub known: Option<Known>,
}

impl Posts {
    /// How many sidecars there are.
    pub fn len(&self) -> usize {
        self.posts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// This is wanted of a sidecar now.
    pub fn want(&mut self, wanted: Wanted, now: Instant) {
        let pod = wanted.pod.clone();
        let Some(post) = self.posts.get_mut(&pod) else {
            let leaving_since = wanted.leave.map(|_| now);
            let post = Post {
                wanted,
                told: None,
                known: None,
                failures: 0,
                busy: None,
                due: None,
                leaving_since,
            };
            self.posts.insert(pod.clone(), post);
            self.enqueue(&pod, now);
            return;
        };
        if post.wanted == wanted {
            return;
        }
        if post.wanted.restarts != wanted.restarts || post.wanted.address != wanted.address {
            // Another start knows nothing, and its mode may be another.
            (post.told, post.known) = (None, None);
        }
        if post.wanted.leave.is_none() && wanted.leave.is_some() {
            post.leaving_since = Some(now);
        }
        post.failures = 0;
        post.wanted = wanted;
        self.dequeue(&pod);
        self.enqueue(&pod, now);
    }

    /// There is no such sidecar any more.
    pub fn forget(&mut self, pod: &str) {
        self.dequeue(pod);
        if let Some(post) = self.posts.remove(pod)
            && post.busy == Some(Busy::Serving)
        {
            self.serving_busy -= 1;
        }
    }

    /// Who is to be told now; nobody yet, if nothing comes back: see [`Posts::wake`]. To be asked
    /// until then.
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
        let post = self.posts.get_mut(&pod).expect("who queues has a post");
        if post.busy == Some(Busy::Serving) {
            self.serving_busy -= 1;
        }
        let busy = match post.wanted.leave {
            Some(_) => Busy::Leaving,
            None => Busy::Serving,
        };
        post.busy = Some(busy);
        if busy == Busy::Serving {
            self.serving_busy += 1;
        }
        Some(Next {
            wanted: post.wanted.clone(),
            known: post.known.clone(),
        })
    }

    /// When somebody is due next; nothing, if only an event can change that.
    pub fn wake(&self) -> Option<Instant> {
        let leaving = self.leaving.first();
        let serving = self
            .serving
            .first()
            .filter(|_| self.serving_busy < SERVING_AT_ONCE);
        leaving.into_iter().chain(serving).map(|(at, _)| *at).min()
    }

    /// An attempt succeeded. Returns how long a leaving pod had waited for it.
    pub fn told(&mut self, pod: &str, told: &Told, now: Instant) -> Option<Duration> {
        let post = self.end_attempt(pod)?;
        post.failures = 0;
        post.known = Some(told.known.clone());
        post.told = Some(told.wanted.clone());
        let waited = match told.wanted.leave {
            Some(_) => post.leaving_since.take().map(|since| now - since),
            None => None,
        };
        if told.wanted != post.wanted {
            self.enqueue(pod, now);
        }
        waited
    }

    /// An attempt failed. Returns how many have, in a row.
    pub fn failed(&mut self, pod: &str, now: Instant) -> u32 {
        let Some(post) = self.end_attempt(pod) else {
            return 0;
        };
        post.failures = post.failures.saturating_add(1);
        // What it says next time tells whether this is still the start that was known.
        post.known = None;
        let failures = post.failures;
        let (first, most) = match post.wanted.leave {
            Some(_) => LEAVING_RETRY,
            None => SERVING_RETRY,
        };
        let wait = first.saturating_mul(1 << (failures - 1).min(16)).min(most);
        self.enqueue(pod, now + wait);
        failures
    }

    fn end_attempt(&mut self, pod: &str) -> Option<&mut Post> {
        let post = self.posts.get_mut(pod)?;
        if post.busy.take() == Some(Busy::Serving) {
            self.serving_busy -= 1;
        }
        Some(post)
    }

    /// Puts a pod in its queue, unless an attempt under way will bring it back here.
    fn enqueue(&mut self, pod: &str, at: Instant) {
        let Some(post) = self.posts.get_mut(pod) else {
            return;
        };
        let leaving = post.wanted.leave.is_some();
        let overtakes = leaving && post.busy == Some(Busy::Serving);
        if post.due.is_some() || (post.busy.is_some() && !overtakes) {
            return;
        }
        if post.told.as_ref() == Some(&post.wanted) {
            return;
        }
        post.due = Some(at);
        let queue = match leaving {
            true => &mut self.leaving,
            false => &mut self.serving,
        };
        queue.insert((at, pod.to_owned()));
    }

    fn dequeue(&mut self, pod: &str) {
        if let Some(due) = self.posts.get_mut(pod).and_then(|post| post.due.take()) {
            let entry = (due, pod.to_owned());
            self.leaving.remove(&entry);
            self.serving.remove(&entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::desired::{Endpoints, Leave, Revision};
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

    fn told(wanted: Wanted) -> Told {
        let known = Known {
            boot: "b1".to_owned(),
            revision: Revision::new(0, 1),
        };
        Told {
            wanted,
            known,
            contact: None,
        }
    }

    fn next(posts: &mut Posts, now: Instant) -> Option<Wanted> {
        posts.next(now).map(|next| next.wanted)
    }

    /// A thousand serving pods are told some at a time; a leaving one is told at once all the same.
    #[tokio::test(start_paused = true)]
    async fn a_leaving_pod_does_not_queue_behind_serving_ones() {
        let now = Instant::now();
        let mut posts = Posts::default();
        for pod in 0..1000 {
            posts.want(wanted(&pod.to_string()), now);
        }
        let mut under_way = 0;
        while next(&mut posts, now).is_some() {
            under_way += 1;
        }
        assert_eq!(under_way, SERVING_AT_ONCE);
        posts.want(leaving("999"), now);
        assert_eq!(next(&mut posts, now), Some(leaving("999")));
        // Also one that is being told something else at this moment.
        posts.want(leaving("0"), now);
        assert_eq!(next(&mut posts, now), Some(leaving("0")));
        // The place that it gave up is free.
        assert!(next(&mut posts, now).is_some());
        assert_eq!(next(&mut posts, now), None);
    }

    /// What changes while an attempt is under way is told after it; what does not is not repeated.
    #[tokio::test(start_paused = true)]
    async fn the_newest_is_told_and_only_once() {
        let now = Instant::now();
        let mut posts = Posts::default();
        posts.want(wanted("a"), now);
        let first = next(&mut posts, now).unwrap();
        let mut changed = wanted("a");
        changed.settings.timeout_seconds = 7;
        posts.want(changed.clone(), now);
        assert_eq!(next(&mut posts, now), None, "one attempt at a time");
        posts.told("a", &told(first), now);
        assert_eq!(next(&mut posts, now), Some(changed.clone()));
        posts.told("a", &told(changed.clone()), now);
        posts.want(changed, now);
        assert_eq!((next(&mut posts, now), posts.wake()), (None, None));
    }

    /// Failures wait longer and longer; a change does not wait.
    #[tokio::test(start_paused = true)]
    async fn failures_back_off_until_something_changes() {
        let now = Instant::now();
        let mut posts = Posts::default();
        posts.want(wanted("a"), now);
        let mut at = now;
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(next(&mut posts, at).is_some());
            posts.failed("a", at);
            assert_eq!(posts.wake(), Some(at + Duration::from_secs(seconds)));
            at += Duration::from_secs(seconds);
        }
        posts.next(at);
        posts.failed("a", at);
        posts.want(leaving("a"), at);
        assert_eq!(next(&mut posts, at), Some(leaving("a")));
        posts.failed("a", at);
        assert_eq!(posts.wake(), Some(at + Duration::from_millis(100)));
    }

    /// The measure of the signals: from the deletion to the sidecar having been told, once per pod.
    #[tokio::test(start_paused = true)]
    async fn the_wait_of_a_leaving_pod_is_measured_once() {
        let now = Instant::now();
        let mut posts = Posts::default();
        posts.want(leaving("a"), now);
        let first = next(&mut posts, now).unwrap();
        let later = now + Duration::from_millis(30);
        assert_eq!(
            posts.told("a", &told(first), later),
            Some(Duration::from_millis(30))
        );
        let gone = Wanted {
            endpoints: Endpoints::Gone,
            ..leaving("a")
        };
        posts.want(gone, later);
        let second = next(&mut posts, later).unwrap();
        assert_eq!(posts.told("a", &told(second), later), None);
    }

    /// Places of forgotten pods are free again.
    #[tokio::test(start_paused = true)]
    async fn forgetting_leaves_nothing_behind() {
        let now = Instant::now();
        let mut posts = Posts::default();
        posts.want(wanted("a"), now);
        posts.next(now);
        posts.want(wanted("b"), now);
        posts.forget("a");
        posts.forget("b");
        assert!(posts.is_empty() && posts.serving_busy == 0);
        assert_eq!((next(&mut posts, now), posts.wake()), (None, None));
    }
}
