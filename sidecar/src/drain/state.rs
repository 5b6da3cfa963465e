//! The named states of a drain.

use super::milestone::Milestone;
use super::parts::Parts;
use super::trigger::{Readiness, rules};
use crate::census::Snapshot;
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::{Drain, Holder, Protocol};
use std::collections::BTreeSet;
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
    /// The pod goes on accepting because it is alone, and that was logged.
    pub(crate) alone: bool,
    /// It was alone when its port closed.
    pub(crate) closed_alone: bool,
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
    /// The app has broken something off, and that was logged.
    pub(crate) broke: bool,
    /// Who held the drain when its end came before all was done.
    pub(crate) holders: Vec<Holder>,
    /// What its time has gone to.
    pub(crate) parts: Parts,
}

/// A drain that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) leaving: Leaving,
    pub(crate) outcome: Outcome,
    pub(crate) at: Instant,
    /// How it was when the hooks were released.
    pub(crate) at_end: Snapshot,
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
            alone: false,
            closed_alone: false,
            parting: None,
            deregistered: None,
            unready: None,
            moved: ((snapshot.work, snapshot.finished), now),
            oldest_cut: None,
            handed_over: 0,
            broke: false,
            holders: Vec::new(),
            parts: Parts::begin(now),
        }
    }

    /// The milestone of the first thing that the app breaks off.
    pub(crate) fn breaks(&mut self, snapshot: &Snapshot) -> Option<Milestone> {
        let in_all = self.broken(snapshot).values().sum();
        let is_first = in_all > 0 && !std::mem::replace(&mut self.broke, in_all > 0);
        is_first.then_some(Milestone::Broken { in_all })
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

    pub(crate) fn is_handed_over(&self, protocol: Protocol) -> bool {
        self.handed_over > 0 && protocol.is_opaque()
    }

    pub(crate) fn end(mut self, outcome: Outcome, snapshot: &Snapshot, now: Instant) -> Ended {
        let too_early = matches!(outcome, Outcome::TimedOut | Outcome::Killed);
        if too_early && self.holders.is_empty() {
            self.holders.clone_from(&snapshot.holders);
        }
        let drain = self.record(outcome, (snapshot, now), snapshot);
        Ended {
            leaving: self,
            outcome,
            at: now,
            at_end: snapshot.clone(),
            drain,
        }
    }
}
