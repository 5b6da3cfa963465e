//! Changes of the machine's state: one function for each kind of transition.

use super::state::{Ended, Leaving, Restart, Stage, State};
use super::transition::Transition;
use super::trigger::{Readiness, Subject, rules};
use super::{Hooks, Machine, Milestone};
use crate::census::Snapshot;
use ebb_api::phase::{Outcome, Trigger};
use std::time::Instant;

/// The moment of a change: what is seen at it, and where its milestones go.
pub(super) struct Moment<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Instant,
    pub(super) milestones: &'a mut Vec<Milestone>,
}

impl Machine {
    /// The one place where the state changes, but for the app's answer after a restart.
    pub(super) fn apply(&mut self, transition: Transition, moment: &mut Moment<'_>) {
        let state = std::mem::replace(&mut self.state, State::Serving);
        self.state = match (transition, state) {
            (Transition::Suspect, _) => suspect(moment),
            (Transition::HoldRestart, State::Leaving(leaving)) => hold_restart(leaving, moment),
            (Transition::Leave(trigger), state) => leave(state, trigger, moment),
            (Transition::Restate(trigger), State::Leaving(leaving)) => {
                restate(leaving, trigger, moment)
            }
            (Transition::Unready, State::Leaving(leaving)) => unready(leaving, moment),
            (Transition::GoOn, State::Leaving(leaving)) => go_on(leaving, moment),
            (Transition::Drain, State::Leaving(leaving)) => self.drain(leaving, moment),
            (Transition::Cut, State::Leaving(leaving)) => self.cut(leaving, moment),
            (Transition::Finish(outcome), State::Leaving(leaving)) => {
                self.finish(leaving, outcome, moment)
            }
            (Transition::Cancel, State::Leaving(leaving)) => {
                let ended = leaving.end(Outcome::Cancelled, moment.snapshot, moment.now);
                self.cancel(ended, moment)
            }
            (Transition::Cancel, State::Released(ended)) => self.cancel(ended, moment),
            (Transition::Return, state) => self.come_back(state, moment.milestones),
            // No other pair is ever due.
            (_, state) => state,
        };
    }

    fn drain(&self, mut leaving: Leaving, moment: &mut Moment<'_>) -> State {
        moment.milestones.push(Milestone::Draining {
            in_flight: moment.snapshot.in_flight_in_all(),
        });
        leaving.closed_alone = self.facts.goes_on_accepting(&leaving);
        // What it waited for had ended before.
        let waited = leaving.closed_alone && leaving.at_signal.in_flight_in_all() > 0;
        if waited && moment.snapshot.in_flight_in_all() == 0 {
            moment.milestones.push(Milestone::LastByte);
        }
        leaving.unready.get_or_insert(moment.now);
        leaving.deregistered = Some(moment.now);
        State::Leaving(leaving.at_stage(Stage::Draining, moment.now))
    }

    fn cut(&self, mut leaving: Leaving, moment: &mut Moment<'_>) -> State {
        leaving.handed_over = self.facts.to_hand_over(moment.snapshot);
        moment.milestones.push(Milestone::Cutting {
            in_flight: self.facts.to_cut(moment.snapshot),
            handed_over: leaving.handed_over,
        });
        leaving.oldest_cut = moment.snapshot.oldest;
        leaving.holders.clone_from(&moment.snapshot.holders);
        State::Leaving(leaving.at_stage(Stage::Cutting, moment.now))
    }

    fn finish(&mut self, mut leaving: Leaving, outcome: Outcome, moment: &mut Moment<'_>) -> State {
        // SIGTERM on top of a hook: it was the pod after all.
        let is_container = rules(leaving.trigger).subject == Subject::Container;
        if outcome == Outcome::Killed && is_container {
            leaving.trigger = Trigger::Deleted;
        }
        let subject = rules(leaving.trigger).subject;
        let ended = leaving.end(outcome, moment.snapshot, moment.now);
        let told = Milestone::Ended(Box::new(ended.drain.clone()));
        moment.milestones.push(told);
        match subject {
            Subject::Pod => State::Released(ended),
            Subject::Container => {
                // Whoever calls from now on calls for another restart.
                let hooks = std::mem::take(&mut self.facts.hooks);
                State::Restarted(Restart {
                    ended,
                    containers: hooks.apps.into_keys().collect(),
                })
            }
        }
    }

    /// The drain is called off.
    fn cancel(&mut self, mut ended: Ended, moment: &mut Moment<'_>) -> State {
        ended.drain.outcome = Outcome::Cancelled;
        let told = Milestone::CalledOff(Box::new(ended.drain.clone()));
        moment.milestones.push(told);
        self.come_back(State::Released(ended), moment.milestones)
    }

    /// Back in service: the next hook begins anew.
    pub(super) fn come_back(&mut self, from: State, milestones: &mut Vec<Milestone>) -> State {
        if let State::Restarted(Restart { ended, .. }) | State::Released(ended) = from {
            self.last = Some(ended.drain);
        }
        milestones.push(Milestone::BackInService);
        self.facts.hooks = Hooks::default();
        State::Serving
    }
}

fn suspect(moment: &Moment<'_>) -> State {
    State::Leaving(Leaving::begin(
        Stage::Suspected,
        Trigger::ContainerRestart,
        moment.snapshot,
        moment.now,
    ))
}

fn hold_restart(leaving: Leaving, moment: &mut Moment<'_>) -> State {
    let signal = Milestone::Signal(Trigger::ContainerRestart);
    moment.milestones.push(signal);
    State::Leaving(leaving.at_stage(Stage::Restarting, moment.now))
}

fn leave(state: State, trigger: Trigger, moment: &mut Moment<'_>) -> State {
    moment.milestones.push(Milestone::Signal(trigger));
    let mut leaving = match state {
        State::Leaving(suspected) if suspected.stage == Stage::Suspected => {
            suspected.at_stage(Stage::LameDuck, moment.now)
        }
        _ => Leaving::begin(Stage::LameDuck, trigger, moment.snapshot, moment.now),
    };
    leaving.restate(trigger, moment.now);
    State::Leaving(leaving)
}

fn restate(mut leaving: Leaving, trigger: Trigger, moment: &mut Moment<'_>) -> State {
    moment.milestones.push(Milestone::Restated(trigger));
    leaving.restate(trigger, moment.now);
    State::Leaving(leaving)
}

fn go_on(mut leaving: Leaving, moment: &Moment<'_>) -> State {
    if rules(leaving.trigger).readiness == Readiness::AfterEndpoints {
        leaving.unready = None;
    }
    State::Leaving(leaving.at_stage(Stage::LameDuck, moment.now))
}

fn unready(mut leaving: Leaving, moment: &mut Moment<'_>) -> State {
    moment.milestones.push(Milestone::Unready);
    leaving.unready.get_or_insert(moment.now);
    State::Leaving(leaving.at_stage(Stage::Unready, moment.now))
}
