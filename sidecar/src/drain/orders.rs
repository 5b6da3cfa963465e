//! What the machine wants of the rest of the process.

use super::facts::Facts;
use super::state::{Leaving, Stage, State};
use super::trigger::{Readiness, rules};
use crate::census::Snapshot;
use crate::stance::{Pace, Stance};
use ebb_api::phase::{Outcome, Phase, Trigger};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long after the signal goodbyes are said when no controller says that the endpoints are gone:
/// clients that are told earlier reconnect to us.
const GOODBYES_WITHOUT_CONTROLLER: Duration = Duration::from_secs(1);

/// How long the pod's own hook must have been alone before it is let go: the app's are called at
/// most 78 ms apart from it.
const OWN_ALONE: Duration = Duration::from_millis(100);

/// Maximum age of the final report when the process is killed with requests still in flight.
const RECOUNT: Duration = Duration::from_secs(1);

/// Which hooks may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// None.
    Hold,
    /// The sidecar's own: no app container's hook was called, and nothing is in flight.
    Own,
    /// All.
    All,
}

/// What the machine wants of the rest of the process: a level, recomputed after every event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// How connections are treated.
    pub stance: Stance,
    /// Over which time goodbyes are spread; `None` if they are said at once.
    pub pace: Option<Pace>,
    /// What the readiness probe is answered.
    pub ready: bool,
    /// Which hooks may be answered.
    pub release: Release,
    /// How far the pod has come.
    pub phase: Phase,
    /// Why it leaves, while it does.
    pub trigger: Option<Trigger>,
    /// Until when a hook must be answered, while the pod leaves.
    pub deadline: Option<Instant>,
    /// The app's containers that were given up for their restart: find out when they answer again.
    pub restarting: BTreeSet<String>,
    /// The process got SIGTERM and has nothing left to do.
    pub exit: bool,
    /// Something waits for the connections to become idle: every change of theirs matters now.
    pub until_idle: bool,
    /// When to come back even if nothing happens.
    pub wake: Option<Instant>,
}

pub(crate) fn give(state: &State, facts: &Facts, snapshot: &Snapshot, now: Instant) -> Orders {
    let deadline = match state {
        State::Leaving(leaving) => Some(facts.deadline(leaving)),
        State::Serving | State::Restarted(_) | State::Released(_) => None,
    };
    let (release, own_due) = release(state, facts, snapshot, now);
    let (stance, goodbyes_due) = stance(state, facts, now);
    Orders {
        stance,
        pace: match state {
            State::Leaving(leaving) => facts.pace(leaving),
            State::Serving | State::Restarted(_) | State::Released(_) => None,
        },
        ready: ready(state, facts),
        release,
        phase: state.phase(),
        trigger: match state {
            State::Leaving(leaving) if leaving.stage != Stage::Suspected => Some(leaving.trigger),
            _ => None,
        },
        deadline,
        restarting: match state {
            State::Restarted(restart) if facts.sigterm.is_none() => restart.containers.clone(),
            _ => BTreeSet::new(),
        },
        exit: facts.sigterm.is_some() && snapshot.relay_is_idle(),
        until_idle: until_idle(state, facts),
        wake: own_due
            .into_iter()
            .chain(goodbyes_due)
            .chain(snapshot.settles_at)
            .chain(recount_due(state, facts, snapshot, now))
            .chain(look_due(state, facts, snapshot, now))
            .filter(|due| *due > now)
            .min(),
    }
}

fn release(
    state: &State,
    facts: &Facts,
    snapshot: &Snapshot,
    now: Instant,
) -> (Release, Option<Instant>) {
    let leaving = match state {
        State::Restarted(_) | State::Released(_) => return (Release::All, None),
        _ if !facts.settings.enabled || facts.sigterm.is_some() => return (Release::All, None),
        State::Serving => return (Release::Hold, None),
        State::Leaving(leaving) => leaving,
    };
    let Some(own) = facts.hooks.own else {
        return (Release::Hold, None);
    };
    let busy = snapshot.in_flight_in_all() > 0 || leaving.stage == Stage::Cutting;
    if busy || !facts.hooks.apps.is_empty() {
        return (Release::Hold, None);
    }
    match own + OWN_ALONE {
        due if due <= now => (Release::Own, None),
        due => (Release::Hold, Some(due)),
    }
}

fn stance(state: &State, facts: &Facts, now: Instant) -> (Stance, Option<Instant>) {
    match state {
        State::Serving => (sigterm_or(facts, Stance::Serving), None),
        State::Restarted(_) => (sigterm_or(facts, Stance::Parting), None),
        State::Released(ended) => {
            let stance = match ended.outcome {
                Outcome::TimedOut => Stance::Cut,
                Outcome::Skipped => Stance::Serving,
                Outcome::Drained | Outcome::Broken | Outcome::Cancelled | Outcome::Killed => {
                    Stance::Draining
                }
            };
            (sigterm_or(facts, stance), None)
        }
        State::Leaving(leaving) => match leaving.stage {
            Stage::Draining => (Stance::Draining, None),
            Stage::Cutting => (Stance::Cut, None),
            Stage::Suspected | Stage::Restarting | Stage::LameDuck | Stage::Unready => {
                match goodbyes(leaving, facts) {
                    Some(due) if due <= now => (Stance::Parting, None),
                    due => (Stance::Serving, due),
                }
            }
        },
    }
}

/// When to count again although no event tells of a change: of many requests that are in flight
/// when the process is killed, those that ended by then were not cut.
fn recount_due(state: &State, facts: &Facts, snapshot: &Snapshot, now: Instant) -> Option<Instant> {
    let ends = matches!(state, State::Released(_));
    let going = ends && facts.sigterm.is_some() && snapshot.in_flight_in_all() > 0;
    going.then(|| now + RECOUNT)
}

/// When to look again, although no event tells of a change, for the end of what held a pod that
/// accepts on.
fn look_due(state: &State, facts: &Facts, snapshot: &Snapshot, now: Instant) -> Option<Instant> {
    match state {
        State::Leaving(leaving) => facts.look_due(leaving, snapshot, now),
        State::Serving | State::Restarted(_) | State::Released(_) => None,
    }
}

fn until_idle(state: &State, facts: &Facts) -> bool {
    let State::Leaving(leaving) = state else {
        return facts.sigterm.is_some();
    };
    match leaving.stage {
        Stage::Suspected => false,
        Stage::LameDuck | Stage::Unready => {
            facts.hooks.own.is_some() && facts.hooks.apps.is_empty()
        }
        Stage::Restarting | Stage::Draining | Stage::Cutting => true,
    }
}

/// From when on goodbyes are said.
pub(crate) fn goodbyes(leaving: &Leaving, facts: &Facts) -> Option<Instant> {
    match leaving.stage {
        Stage::Suspected => return None,
        Stage::Restarting | Stage::Draining | Stage::Cutting => return Some(leaving.since),
        // They would only come back.
        Stage::LameDuck if facts.goes_on_accepting(leaving) => return None,
        Stage::LameDuck | Stage::Unready => {}
    }
    // Where the endpoints never go, the last seconds of the lame-duck phase must do.
    let unready = (leaving.stage == Stage::Unready).then_some(leaving.since);
    match facts.guidance() {
        Some(_) => facts.gone(leaving).into_iter().chain(unready).min(),
        None => Some(leaving.signal + GOODBYES_WITHOUT_CONTROLLER),
    }
}

/// After SIGTERM the app is gone or about to go, whatever the drain came to.
fn sigterm_or(facts: &Facts, stance: Stance) -> Stance {
    if facts.sigterm.is_some() {
        stance.max(Stance::Closing)
    } else {
        stance
    }
}

fn ready(state: &State, facts: &Facts) -> bool {
    match state {
        State::Serving => facts.sigterm.is_none(),
        State::Restarted(_) => false,
        State::Released(ended) => ended.outcome == Outcome::Skipped && facts.sigterm.is_none(),
        State::Leaving(leaving) => match leaving.stage {
            Stage::Suspected => true,
            Stage::LameDuck => rules(leaving.trigger).readiness == Readiness::AfterEndpoints,
            Stage::Restarting | Stage::Unready | Stage::Draining | Stage::Cutting => false,
        },
    }
}
