//! When which policy's status is written: pure bookkeeping, the time comes in as `now`.
//!
//! The first change is written at once (a moment later, as changes come in swarms), then at most
//! every two seconds per policy and ten times a second in all. Mere progress of drains is written
//! at a slower pace.

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long a first change waits for its companions.
const SETTLE: Duration = Duration::from_millis(50);

/// The least time between two writes of one policy.
const BETWEEN: Duration = Duration::from_secs(2);

/// The same where only the progress of drains has changed.
const BETWEEN_PROGRESS: Duration = Duration::from_secs(5);

/// The least time between two writes of any policies: at most ten per second.
const PACE: Duration = Duration::from_millis(100);

/// Namespace and name of a policy.
pub type PolicyKey = (String, String);

/// Which policies are to be looked at, and when.
#[derive(Debug, Default)]
pub struct Schedule {
    due: HashMap<PolicyKey, Instant>,
    written: HashMap<PolicyKey, Instant>,
    busy: HashSet<PolicyKey>,
    pace: Option<Instant>,
    hurry: bool,
}

impl Schedule {
    /// Something about the policy has changed.
    pub fn changed(&mut self, policy: PolicyKey, now: Instant) {
        self.within(policy, now, SETTLE, BETWEEN);
    }

    /// Its drains have made progress, and nothing else has changed.
    pub fn progressed(&mut self, policy: PolicyKey, now: Instant) {
        self.within(policy, now, BETWEEN_PROGRESS, BETWEEN_PROGRESS);
    }

    fn within(&mut self, policy: PolicyKey, now: Instant, at_least: Duration, between: Duration) {
        let after_last = self
            .written
            .get(&policy)
            .map_or(now, |written| *written + between);
        let due = after_last.max(now + at_least);
        let entry = self.due.entry(policy).or_insert(due);
        *entry = due.min(*entry);
    }

    /// The next policy whose status is due, if there is one. It is due no longer.
    pub fn next(&mut self, now: Instant) -> Option<PolicyKey> {
        if !self.hurry && self.pace.is_some_and(|pace| now < pace) {
            return None;
        }
        let (policy, _) = self
            .due
            .iter()
            .filter(|(policy, due)| (self.hurry || **due <= now) && !self.busy.contains(*policy))
            .min_by_key(|(_, due)| **due)?;
        let policy = policy.clone();
        self.due.remove(&policy);
        Some(policy)
    }

    /// When to ask again; `None` if only an event can change that.
    pub fn wake(&self) -> Option<Instant> {
        let due = self
            .due
            .iter()
            .filter(|(policy, _)| !self.busy.contains(*policy));
        let first = due.map(|(_, due)| *due).min()?;
        Some(self.pace.map_or(first, |pace| first.max(pace)))
    }

    /// Whether the last write is long enough ago for one that shows nothing but progress.
    pub fn progress_is_due(&self, policy: &PolicyKey, now: Instant) -> bool {
        let written = self.written.get(policy);
        self.hurry || written.is_none_or(|written| *written + BETWEEN_PROGRESS <= now)
    }

    /// From now on everything is due at once, progress too, as the process ends.
    pub fn hurry(&mut self) {
        self.hurry = true;
    }

    /// A write of the policy's status begins.
    pub fn begin(&mut self, policy: PolicyKey, now: Instant) {
        self.pace = Some(now + PACE);
        self.written.insert(policy.clone(), now);
        self.busy.insert(policy);
    }

    /// The write has ended.
    pub fn end(&mut self, policy: &PolicyKey) {
        self.busy.remove(policy);
    }

    /// The policy is gone.
    pub fn forget(&mut self, policy: &PolicyKey) {
        self.due.remove(policy);
        self.written.remove(policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PolicyKey {
        ("shop".to_owned(), name.to_owned())
    }

    /// At once, then every two seconds, however often it changes.
    #[tokio::test(start_paused = true)]
    async fn a_policy_is_written_at_once_and_then_every_two_seconds() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        let mut writes = Vec::new();
        for tenth in 0..50 {
            let now = start + Duration::from_millis(100 * tenth);
            schedule.changed(key("web"), now);
            let settled = now + SETTLE;
            if let Some(policy) = schedule.next(settled) {
                schedule.begin(policy.clone(), settled);
                schedule.end(&policy);
                writes.push((settled - start).as_millis());
            }
        }
        assert_eq!(writes, [50, 2050, 4050]);
    }

    /// Ten per second in all, the longest due first.
    #[tokio::test(start_paused = true)]
    async fn many_policies_share_ten_writes_a_second() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        for policy in 0..100 {
            schedule.changed(key(&policy.to_string()), start);
        }
        let mut writes = 0;
        for millisecond in 0..1000 {
            let now = start + SETTLE + Duration::from_millis(millisecond);
            while let Some(policy) = schedule.next(now) {
                schedule.begin(policy, now);
                writes += 1;
            }
        }
        assert_eq!(writes, 10);
    }

    /// A second write never overtakes the first.
    #[tokio::test(start_paused = true)]
    async fn a_policy_has_one_write_under_way() {
        let now = Instant::now();
        let later = now + Duration::from_secs(10);
        let mut schedule = Schedule::default();
        schedule.begin(key("web"), now);
        schedule.changed(key("web"), now);
        assert_eq!(schedule.next(later), None);
        assert_eq!(schedule.wake(), None);
        schedule.end(&key("web"));
        assert_eq!(schedule.next(later), Some(key("web")));
    }

    /// In a hurry all that is due is written once, so asking for the next ends.
    #[tokio::test(start_paused = true)]
    async fn at_the_end_everything_is_written_once() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for policy in ["a", "b"] {
            schedule.begin(key(policy), now);
            schedule.end(&key(policy));
            schedule.progressed(key(policy), now);
        }
        assert_eq!(schedule.next(now), None);
        schedule.hurry();
        while let Some(policy) = schedule.next(now) {
            assert!(schedule.progress_is_due(&policy, now));
            schedule.begin(policy, now);
        }
        assert_eq!(schedule.wake(), None);
    }

    /// A change does not wait for the slower pace of progress.
    #[tokio::test(start_paused = true)]
    async fn a_change_overtakes_progress() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.progressed(key("web"), now);
        assert_eq!(schedule.wake(), Some(now + BETWEEN_PROGRESS));
        schedule.changed(key("web"), now);
        assert_eq!(schedule.wake(), Some(now + SETTLE));
    }
}
