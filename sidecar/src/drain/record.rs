//! The record of a drain: what came of the work that was in flight at its signal and began since.

use super::state::{Ended, Leaving};
use crate::census::{Snapshot, milliseconds};
use ebb_api::phase::Outcome;
use ebb_api::report::{Drain, Protocol};
use std::collections::BTreeMap;
use std::time::Instant;

// === impl Leaving ===

impl Leaving {
    /// What the app has broken off since the signal.
    pub(crate) fn broken(&self, snapshot: &Snapshot) -> BTreeMap<Protocol, u64> {
        let mut broken = counted_since(&self.at_signal.broken, &snapshot.broken);
        broken.retain(|_, count| *count > 0);
        broken
    }

    /// The drain's record, if it ended at `end` and has come to this since.
    pub(crate) fn record(
        &self,
        outcome: Outcome,
        (at_end, end): (&Snapshot, Instant),
        snapshot: &Snapshot,
    ) -> Drain {
        let after = |at: Instant| milliseconds(at.saturating_duration_since(self.signal));
        let mut cut = counted_since(&self.at_signal.cut, &snapshot.cut);
        let mut broken = self.broken(snapshot);
        let mut abandoned = BTreeMap::new();
        let mut oldest_cut = self.oldest_cut;
        match outcome {
            // What is still in flight when the process or the app goes is lost with it. It is
            // counted now: nobody may be left to count it later.
            Outcome::Killed | Outcome::TimedOut => {
                add(&mut cut, self.left(snapshot));
                add(
                    &mut cut,
                    self.left_and_broken(at_end, snapshot, &mut broken),
                );
                oldest_cut = oldest_cut.max(snapshot.oldest).max(at_end.oldest);
            }
            // A drain that a disabled policy did not let begin has abandoned nothing.
            Outcome::Skipped if end > self.signal => {
                add(&mut abandoned, self.left(snapshot));
                add(
                    &mut abandoned,
                    self.left_and_broken(at_end, snapshot, &mut broken),
                );
                // What has begun since is as without Ebb.
                abandoned.retain(|protocol, count| {
                    *count = (*count).min(at_end.in_flight.get(protocol).copied().unwrap_or(0));
                    *count > 0
                });
            }
            Outcome::Skipped | Outcome::Drained | Outcome::Broken | Outcome::Cancelled => {}
        }
        cut.retain(|_, count| *count > 0);
        if self.handed_over > 0 {
            // The oldest that was in flight may be one that was not cut.
            oldest_cut = snapshot.oldest_cut;
        }
        oldest_cut = oldest_cut.filter(|_| !cut.is_empty());
        let begun_before = self
            .gone
            .map_or(self.at_signal.work, |(_, begun_before)| begun_before);
        broken.retain(|_, count| *count > 0);
        let outcome = match outcome {
            Outcome::Drained if !broken.is_empty() => Outcome::Broken,
            outcome => outcome,
        };
        Drain {
            trigger: self.trigger,
            outcome,
            took_ms: after(end),
            parts: self.parts.report(),
            deregistered_ms: self.deregistered.map(after),
            endpoints_gone_ms: self.gone.map(|(at, _)| after(at)),
            finished: since(self.at_signal.finished, snapshot.finished),
            cut,
            broken,
            abandoned,
            unseen: since(self.at_signal.unseen, snapshot.unseen),
            given_up: since(self.at_signal.given_up, snapshot.given_up),
            handed_over: self.handed_over,
            oldest_cut_ms: oldest_cut.map(milliseconds),
            idle_closed: since(self.at_signal.idle_closed, snapshot.idle_closed),
            one_way_closed: since(self.at_signal.one_way_closed, snapshot.one_way_closed),
            late: since(begun_before, snapshot.work),
            bypassing: since(self.at_signal.bypassed, snapshot.bypassed) + self.at_signal.bypassing,
            holders: self.holders.clone(),
        }
    }

    /// What is in flight, without what was handed over.
    fn left(&self, snapshot: &Snapshot) -> BTreeMap<Protocol, u64> {
        let mut left = snapshot.in_flight.clone();
        left.retain(|protocol, _| !self.is_handed_over(*protocol));
        left
    }

    /// What is in flight of that which was handed over.
    fn handed_over(&self, snapshot: &Snapshot) -> BTreeMap<Protocol, u64> {
        let mut handed_over = snapshot.in_flight.clone();
        handed_over.retain(|protocol, _| self.is_handed_over(*protocol));
        handed_over
    }

    /// What was in flight when the hooks were released, without what was handed over, and was
    /// broken off since: an app that is told to go does so. It is taken out of `broken`.
    fn left_and_broken(
        &self,
        at_end: &Snapshot,
        snapshot: &Snapshot,
        broken: &mut BTreeMap<Protocol, u64>,
    ) -> BTreeMap<Protocol, u64> {
        let since = counted_since(&at_end.broken, &snapshot.broken);
        let mut lost = self.left(at_end);
        for (protocol, left) in &mut lost {
            *left = (*left).min(since.get(protocol).copied().unwrap_or(0));
            if let Some(broken) = broken.get_mut(protocol) {
                *broken = broken.saturating_sub(*left);
            }
        }
        lost
    }
}

// === impl Ended ===

impl Ended {
    /// The drain's record, if the process ends at this moment and takes with it what was handed
    /// over and still flows.
    pub(crate) fn last_words(&self, snapshot: &Snapshot) -> Drain {
        let mut drain = self.drain.clone();
        if self.leaving.handed_over > 0 {
            let before = drain.cut_in_all();
            add(&mut drain.cut, self.leaving.handed_over(snapshot));
            if drain.cut_in_all() > before {
                drain.oldest_cut_ms = drain.oldest_cut_ms.max(snapshot.oldest.map(milliseconds));
            }
        }
        drain
    }

    /// Counts on: between the release of the hooks and the end of the process the app's last bytes
    /// are still relayed, and requests still finish or are lost.
    pub(crate) fn recount(&mut self, snapshot: &Snapshot) {
        let end = (&self.at_end, self.at);
        self.drain = self.leaving.record(self.outcome, end, snapshot);
    }
}

fn add(counts: &mut BTreeMap<Protocol, u64>, more: impl IntoIterator<Item = (Protocol, u64)>) {
    for (protocol, count) in more {
        *counts.entry(protocol).or_default() += count;
    }
}

fn since(before: u64, after: u64) -> u64 {
    after.saturating_sub(before)
}

fn counted_since<K: Ord + Copy>(
    before: &BTreeMap<K, u64>,
    after: &BTreeMap<K, u64>,
) -> BTreeMap<K, u64> {
    after
        .iter()
        .map(|(key, count)| (*key, since(*before.get(key).unwrap_or(&0), *count)))
        .collect()
}
