//! What happens next, and when: the rules of a drain, as a function of what is known.

use super::facts::Facts;
use super::state::{Ended, Leaving, Stage, State};
use crate::census::Snapshot;
use ebb_api::phase::{Outcome, Trigger};
use std::time::{Duration, Instant};

/// How long an app container's hook must have been alone to mean a restart of that container.
/// Kubelet calls all hooks of a pod that goes within 78 ms, measured with 40 pods at once.
const ALONE: Duration = Duration::from_secs(1);

/// How long a restart is held when nothing begins or finishes: a hung app must not be kept from its
/// restart.
const NOTHING_MOVED: Duration = Duration::from_secs(2);

/// How long after readiness was withdrawn new connections may still be sent here, when the cluster
/// does not say that they are not: one probe period, its publication, and kube-proxy's share.
const READINESS_LAG: Duration = Duration::from_secs(2);

/// How long after the slices say that the pod does not serve new connections may still be sent
/// here: kube-proxy did for 0.7 s.
const NOT_SERVING_LAG: Duration = Duration::from_secs(1);

/// How long a drain waits for a word of the controller, which knows whether kubelet's hooks mean a
/// deletion, before it withdraws readiness: without a deletion that is the only way to get out of
/// the endpoints.
const WORD_LAG: Duration = Duration::from_secs(2);

/// How long after its release a restart keeps the pod out of service when no port tells that the
/// app is back. Longer is of no use: a pod whose container does not run, or fails its readiness
/// probe, is unready without us; and there may be no port that could ever tell.
const RESTART_HEALING: Duration = Duration::from_secs(10);

/// How long Draining lasts at least: the relay takes in what the kernel has queued for it and sees
/// what that brings, and only then is "nothing in flight" true.
const QUEUE_TAKEN: Duration = Duration::from_millis(100);

/// How long cutting may take.
const CUTTING: Duration = Duration::from_millis(500);

/// A change from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// An app container's hook came alone.
    Suspect,
    /// It stayed alone.
    HoldRestart,
    /// The pod goes.
    Leave(Trigger),
    /// The reason for leaving turned out to be another one.
    Restate(Trigger),
    /// Withdraw readiness.
    Unready,
    /// Ready again: there is nobody else.
    GoOn,
    /// Accept nothing new.
    Drain,
    /// The deadline has come with work in flight.
    Cut,
    /// Release the hooks.
    Finish(Outcome),
    /// Back to service; nothing was asked of anybody.
    Return,
    /// Back to service; the drain is called off.
    Cancel,
}

/// The earliest of the transitions that are possible.
#[derive(Debug, Default)]
struct Earliest(Option<(Instant, Transition)>);

/// What comes next in this state, and when, if nothing else happens; `None` if only an event can
/// tell.
pub(crate) fn next(
    state: &State,
    facts: &Facts,
    snapshot: &Snapshot,
    now: Instant,
) -> Option<(Instant, Transition)> {
    let mut earliest = Earliest::default();
    match state {
        State::Serving => earliest.serving(facts, now),
        State::Leaving(leaving) => match leaving.stage {
            Stage::Suspected => earliest.suspected(leaving, facts, now),
            Stage::Restarting => earliest.restarting(leaving, facts, snapshot, now),
            _ => earliest.leaving(leaving, facts, snapshot, now),
        },
        State::Restarted(restart) => earliest.restarted(&restart.ended, facts, now),
        State::Released(ended) => earliest.released(ended, facts, now),
    }
    earliest.0
}

// === impl Earliest ===

impl Earliest {
    /// If two transitions are due at the same instant, the one added first wins.
    fn at(&mut self, due: Instant, transition: Transition) {
        if self.0.is_none_or(|(earliest, _)| due < earliest) {
            self.0 = Some((due, transition));
        }
    }

    fn serving(&mut self, facts: &Facts, now: Instant) {
        if let Some(trigger) = pod_goes(facts) {
            self.at(now, Transition::Leave(trigger));
        } else if !facts.hooks.apps.is_empty() {
            self.at(now, Transition::Suspect);
        }
    }

    /// What ends a restart of the app before its time, whether it is only suspected or not.
    fn no_restart(&mut self, facts: &Facts, now: Instant) {
        if !facts.settings.enabled {
            self.at(now, Transition::Return);
        } else if facts.sigterm.is_some() {
            self.at(now, Transition::Finish(Outcome::Killed));
        } else if let Some(trigger) = pod_goes(facts) {
            self.at(now, Transition::Leave(trigger));
        }
    }

    fn suspected(&mut self, leaving: &Leaving, facts: &Facts, now: Instant) {
        self.no_restart(facts, now);
        self.at(leaving.signal + ALONE, Transition::HoldRestart);
        self.at(facts.deadline(leaving), Transition::HoldRestart);
    }

    fn restarting(&mut self, leaving: &Leaving, facts: &Facts, snapshot: &Snapshot, now: Instant) {
        self.no_restart(facts, now);
        if snapshot.in_flight_in_all() == 0 {
            self.at(now, Transition::Finish(Outcome::Drained));
        }
        let (_, moved) = leaving.moved;
        self.at(moved + NOTHING_MOVED, Transition::Finish(Outcome::TimedOut));
        self.at(
            facts.deadline(leaving),
            Transition::Finish(Outcome::TimedOut),
        );
    }

    /// A pod on its way out, from the signal to the release of the hooks.
    fn leaving(&mut self, leaving: &Leaving, facts: &Facts, snapshot: &Snapshot, now: Instant) {
        let idle = snapshot.in_flight_in_all() == 0;
        if facts.sigterm.is_some() {
            let alone_and_idle = facts.hooks.apps.is_empty() && facts.hooks.own.is_some() && idle;
            self.at(
                now,
                Transition::Finish(if alone_and_idle {
                    Outcome::Drained
                } else {
                    Outcome::Killed
                }),
            );
        } else if !facts.settings.enabled {
            self.at(now, Transition::Finish(Outcome::Skipped));
        } else if called_off(facts) {
            self.at(now, Transition::Cancel);
        } else if let Some(trigger) = better_known(leaving, facts) {
            self.at(now, Transition::Restate(trigger));
        }
        if leaving.stage == Stage::Cutting {
            let done = facts.to_cut(snapshot) == 0;
            let due = if done { now } else { leaving.since + CUTTING };
            self.at(due, Transition::Finish(Outcome::TimedOut));
            return;
        }
        let deadline = facts.deadline(leaving);
        if leaving.stage == Stage::Draining {
            if idle {
                let expected_back = snapshot.pausing_until.unwrap_or(now).max(now);
                let due = expected_back.min((leaving.since + facts.idle_wait(leaving)).max(now));
                let due = match facts.pace(leaving) {
                    // The end of the app would be a goodbye to all of them in one moment.
                    Some(pace) if snapshot.untold > 0 => due.max(pace.ends()),
                    _ => due,
                };
                let due = if unused(leaving, facts, snapshot) {
                    due
                } else {
                    due.max(leaving.since + QUEUE_TAKEN)
                };
                self.at(due, Transition::Finish(Outcome::Drained));
            }
        } else {
            self.lame_duck(leaving, facts, snapshot, now);
        }
        self.at(
            deadline,
            if idle {
                Transition::Finish(Outcome::Drained)
            } else {
                Transition::Cut
            },
        );
    }

    /// The order that loses nothing: the least time, the endpoints gone, quiet; then readiness
    /// withdrawn, not serving any more, quiet once more. The greatest time ends all waiting.
    fn lame_duck(&mut self, leaving: &Leaving, facts: &Facts, snapshot: &Snapshot, now: Instant) {
        let (least, most) = facts.lame_duck(leaving);
        let earliest = leaving.signal + least;
        let from = facts.lame_duck_from(leaving);
        let guidance = facts.guidance();
        let unused = unused(leaving, facts, snapshot);
        let quiet_after = |start: Instant| {
            let since_work = snapshot.last_work.map(|work| work + facts.quiet());
            if unused {
                since_work.unwrap_or(start).max(start)
            } else {
                since_work.unwrap_or(start).max(start + facts.quiet())
            }
        };
        match leaving.stage {
            Stage::LameDuck if facts.goes_on_accepting(leaving) => {
                if !facts.has_old_work(leaving, snapshot) {
                    if let Some(gone) = facts.gone(leaving) {
                        self.at(earliest.max(quiet_after(gone)), Transition::Drain);
                    }
                    self.at(from + most, Transition::Drain);
                }
                self.at(facts.last_call(leaving), Transition::Drain);
            }
            Stage::LameDuck => {
                // Without a controller nobody knows when the endpoints are gone: quiet decides.
                let gone = match guidance {
                    Some(_) => facts.gone(leaving),
                    None => Some(leaving.signal),
                };
                if let Some(gone) = gone {
                    self.at(earliest.max(quiet_after(gone)), Transition::Unready);
                }
                if guidance.is_none() {
                    self.at(leaving.signal + WORD_LAG, Transition::Unready);
                }
                let in_time = most.saturating_sub(READINESS_LAG);
                self.at(from + in_time, Transition::Unready);
            }
            _ if facts.alone_in().is_some() => self.at(now, Transition::GoOn),
            _ => {
                let lag_ends = leaving.unready.unwrap_or(leaving.since) + READINESS_LAG;
                let due = match guidance {
                    Some(word) => facts.gone(leaving).map(|gone| {
                        let settled = if unused {
                            leaving.signal
                        } else {
                            word.not_serving.unwrap_or(lag_ends).min(lag_ends) + NOT_SERVING_LAG
                        };
                        earliest.max(quiet_after(gone)).max(settled)
                    }),
                    // Nobody says when the pod stops serving; the lag has room for all of it.
                    None => Some(earliest.max(quiet_after(leaving.signal)).max(lag_ends)),
                };
                if let Some(due) = due {
                    self.at(due, Transition::Drain);
                }
                self.at(from + most, Transition::Drain);
            }
        }
    }

    /// The app's container has been given up to kubelet; the pod stays.
    fn restarted(&mut self, ended: &Ended, facts: &Facts, now: Instant) {
        if let Some(trigger) = pod_goes(facts) {
            self.at(now, Transition::Leave(trigger));
        } else if !facts.hooks.apps.is_empty() {
            self.at(now, Transition::Suspect);
        } else if facts.sigterm.is_none() {
            self.at(ended.at + RESTART_HEALING, Transition::Return);
        }
    }

    /// All hooks are released: a sign that the pod really goes comes in time, or it serves again.
    fn released(&mut self, ended: &Ended, facts: &Facts, now: Instant) {
        let stood_aside = ended.outcome == Outcome::Skipped;
        if facts.sigterm.is_some() {
            return;
        }
        let back = if stood_aside {
            Transition::Return
        } else {
            Transition::Cancel
        };
        if facts.leave().is_none() {
            let due = if facts.hooks.any() {
                facts.heals_at(ended.at)
            } else {
                now
            };
            self.at(due, back);
        } else if stood_aside && facts.settings.enabled && !facts.hooks.any() {
            self.at(now, Transition::Return);
        }
    }
}

/// Whether the pod, and not only one of its app's containers, is on its way out.
fn pod_goes(facts: &Facts) -> Option<Trigger> {
    if facts.sigterm.is_some() {
        return None;
    }
    match facts.leave() {
        Some(leave) => Some(leave.trigger),
        None => facts.hooks.own.map(|_| Trigger::Deleted),
    }
}

/// Not serving before readiness was withdrawn: it was never in service, and without a connection
/// nobody has to be told.
fn unused(leaving: &Leaving, facts: &Facts, snapshot: &Snapshot) -> bool {
    snapshot.connections_in_all() == 0
        && facts
            .guidance()
            .and_then(|word| word.not_serving)
            .is_some_and(|at| leaving.unready.is_none_or(|unready| at <= unready))
}

/// Nobody wants the pod to leave any more. Kubelet's hooks cannot be taken back.
fn called_off(facts: &Facts) -> bool {
    facts.leave().is_none() && !facts.hooks.any()
}

/// Kubelet's hooks alone do not say why. The controller does: by naming a reason, or, when it
/// speaks well after the signal and still sees no deletion, by that.
fn better_known(leaving: &Leaving, facts: &Facts) -> Option<Trigger> {
    let trigger = match facts.leave() {
        Some(leave) => leave.trigger,
        None if facts
            .word
            .as_ref()
            .is_some_and(|word| word.at >= leaving.signal + WORD_LAG) =>
        {
            Trigger::Terminating
        }
        None => leaving.trigger,
    };
    (trigger != leaving.trigger).then_some(trigger)
}
