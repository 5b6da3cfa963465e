//! The named states of a drain.

use super::trigger::{Readiness, rules};
use crate::census::Snapshot;
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::{Drain, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Where the machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In service.
    Serving,
    /// On the way out.
    Leaving(Leaving),
    /// The hook of one of the app's containers is released, and kubelet restarts it; the pod stays.
    Restarted(Restart),
    /// All hooks are released: the pod goes, or is about to come back to service.
    Released(Ended),
}

/// How far a leaving pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// One app container's hook came alone; the pod's own may still follow.
    Suspected,
    /// It stayed alone: kubelet restarts that container.
    Restarting,
    /// Accepts and serves until the endpoints are gone and it was quiet.
    LameDuck,
    /// The same, but readiness is withdrawn; waits until nobody is sent here any more.
    Unready,
    /// Accepts nothing new.
    Draining,
    /// The deadline has come; what is left is being cut.
    Cutting,
}

/// A drain that is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    pub(crate) stage: Stage,
    /// When the present stage began.
    pub(crate) since: Instant,
    pub(crate) trigger: Trigger,
    /// When the drain began.
    pub(crate) signal: Instant,
    /// The counters at the signal.
    pub(crate) at_signal: Snapshot,
    /// When the endpoints were gone, and how much work had begun by then.
    pub(crate) gone: Option<(Instant, u64)>,
    /// Since when goodbyes are said.
    pub(crate) parting: Option<Instant>,
    /// When the lame-duck phase ended.
    pub(crate) deregistered: Option<Instant>,
    /// When readiness was withdrawn.
    pub(crate) unready: Option<Instant>,
    /// How much work had begun and finished when that changed last, and when that was.
    pub(crate) moved: ((u64, u64), Instant),
    /// The age of the oldest that was in flight when cutting began.
    pub(crate) oldest_cut: Option<Duration>,
    /// How many opaque connections were in flight then, and left to the app's shutdown.
    pub(crate) handed_over: u64,
}

/// A drain that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) leaving: Leaving,
    pub(crate) outcome: Outcome,
    pub(crate) at: Instant,
    pub(crate) drain: Drain,
}

/// A restart of some of the app's containers that kubelet carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    /// The drain before it.
    pub(crate) ended: Ended,
    pub(crate) containers: BTreeSet<String>,
}

// === impl State ===

impl State {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            State::Serving => Phase::Serving,
            State::Leaving(leaving) => match leaving.stage {
                Stage::Suspected => Phase::Serving,
                Stage::Restarting | Stage::LameDuck | Stage::Unready => Phase::Deregistering,
                Stage::Draining | Stage::Cutting => Phase::Draining,
            },
            State::Restarted(_) | State::Released(_) => Phase::Ended,
        }
    }
}

// === impl Leaving ===

impl Leaving {
    pub(crate) fn begin(
        stage: Stage,
        trigger: Trigger,
        snapshot: &Snapshot,
        now: Instant,
    ) -> Leaving {
        Leaving {
            stage,
            since: now,
            trigger,
            signal: now,
            at_signal: snapshot.clone(),
            gone: None,
            parting: None,
            deregistered: None,
            unready: None,
            moved: ((snapshot.work, snapshot.finished), now),
            oldest_cut: None,
            handed_over: 0,
        }
    }

    pub(crate) fn at_stage(mut self, stage: Stage, now: Instant) -> Leaving {
        self.stage = stage;
        self.since = now;
        self
    }

    /// Takes up another reason.
    pub(crate) fn restate(&mut self, trigger: Trigger, now: Instant) {
        self.trigger = trigger;
        if rules(trigger).readiness == Readiness::AtOnce {
            self.unready.get_or_insert(now);
        }
    }

    fn is_handed_over(&self, protocol: Protocol) -> bool {
        self.handed_over > 0 && protocol.is_opaque()
    }

    pub(crate) fn end(self, outcome: Outcome, snapshot: &Snapshot, now: Instant) -> Ended {
        let drain = self.record(outcome, snapshot, now);
        Ended {
            leaving: self,
            outcome,
            at: now,
            drain,
        }
    }

    /// The drain's record, if it ended at `end`.
    fn record(&self, outcome: Outcome, snapshot: &Snapshot, end: Instant) -> Drain {
        let after = |at: Instant| milliseconds(at.saturating_duration_since(self.signal));
        let mut cut = counted_since(&self.at_signal.cut, &snapshot.cut);
        let mut oldest_cut = self.oldest_cut;
        // What is still in flight when the process or the app goes is lost with it. It is counted
        // now: nobody may be left to count it later.
        if matches!(outcome, Outcome::Killed | Outcome::TimedOut) {
            lose(&mut cut, snapshot, |protocol| {
                !self.is_handed_over(protocol)
            });
            oldest_cut = oldest_cut.max(snapshot.oldest);
        }
        cut.retain(|_, count| *count > 0);
        if self.handed_over > 0 {
            // The oldest that was in flight may be one that was not cut.
            oldest_cut = snapshot.oldest_cut.filter(|_| !cut.is_empty());
        }
        let begun_before = self
            .gone
            .map_or(self.at_signal.work, |(_, begun_before)| begun_before);
        Drain {
            trigger: self.trigger,
            outcome,
            took_ms: after(end),
            deregistered_ms: self.deregistered.map(after),
            endpoints_gone_ms: self.gone.map(|(at, _)| after(at)),
            finished: since(self.at_signal.finished, snapshot.finished),
            cut,
            handed_over: self.handed_over,
            oldest_cut_ms: oldest_cut.map(milliseconds),
            idle_closed: since(self.at_signal.idle_closed, snapshot.idle_closed),
            one_way_closed: since(self.at_signal.one_way_closed, snapshot.one_way_closed),
            late: since(begun_before, snapshot.work),
            bypassing: since(self.at_signal.bypassed, snapshot.bypassed) + self.at_signal.bypassing,
        }
    }
}

/// Counts what is in flight of these protocols as cut.
fn lose(
    cut: &mut BTreeMap<Protocol, u64>,
    snapshot: &Snapshot,
    is_lost: impl Fn(Protocol) -> bool,
) {
    for (protocol, count) in &snapshot.in_flight {
        if is_lost(*protocol) {
            *cut.entry(*protocol).or_default() += count;
        }
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
            lose(&mut drain.cut, snapshot, |protocol| {
                self.leaving.is_handed_over(protocol)
            });
            if drain.cut_in_all() > before {
                drain.oldest_cut_ms = drain.oldest_cut_ms.max(snapshot.oldest.map(milliseconds));
            }
        }
        drain
    }

    /// Counts on: between the release of the hooks and the end of the process the app's last bytes
    /// are still relayed, and requests still finish or are lost.
    pub(crate) fn recount(&mut self, snapshot: &Snapshot) {
        self.drain = self.leaving.record(self.outcome, snapshot, self.at);
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

/// The age of something, as the report counts it.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
