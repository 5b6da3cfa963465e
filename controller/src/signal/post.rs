//! Who is told next: pure bookkeeping, the time comes in as `now`.

use super::tell::{Known, Told};
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

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Tell this sidecar. Whatever was under way for it is given up.
    Tell {
        /// What.
        wanted: Wanted,
        /// Which start of it was told last, if that is known.
        known: Option<Known>,
    },
    /// Nothing yet: see [`Posts::wake`].
    Wait,
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
        if post.wanted.restarts != wanted.restarts || post.wanted.ip != wanted.ip {
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

    /// Who is to be told now. To be asked until it says to wait.
    pub fn next(&mut self, now: Instant) -> Next {
        let due = |queue: &BTreeSet<(Instant, String)>| match queue.first() {
            Some((at, pod)) if *at <= now => Some(pod.clone()),
            _ => None,
        };
        let pod = match due(&self.leaving) {
            Some(pod) => pod,
            None if self.serving_busy < SERVING_AT_ONCE => match due(&self.serving) {
                Some(pod) => pod,
                None => return Next::Wait,
            },
            None => return Next::Wait,
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
        Next::Tell {
            wanted: post.wanted.clone(),
            known: post.known.clone(),
        }
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
