//! When a pod leaves, how far it has come, and when its hooks may be answered: decisions only.
//!
//! A [`Machine`] is told what happened ([`Event`]), what the connections look like ([`Snapshot`]) and
//! what time it is; it answers with [`Orders`], a level that the rest of the process follows. It
//! does no IO, holds no clock and never waits: [`Orders::wake`] says when to ask again.
//!
//! ```text
//!             app's hook alone         still alone after 1 s
//!   Serving ------------------> Suspected -----------------> Restarting --> Ended --+
//!    ^  |                          | own hook, or the controller says so   (restart) |
//!    |  +--------------------------+                                                 |
//!    |  v                                                                            |
//!    | LameDuck --> Unready --> Draining --> (Cutting) --> Ended                     |
//!    |  least time,  not serving   idle                      |                       |
//!    |  endpoints    any more,                               |                       |
//!    |  gone, quiet  quiet                                   |                       |
//!    +-------------------------------------------------------+-----------------------+
//!      no SIGTERM and no controller's word in time: it heals      the app answers again
//! ```
//!
//! What the design leaves open is decided like this:
//!
//! - Both kinds of hooks mean `Deleted` until a controller knows better: it names another trigger,
//!   or it speaks 2 s or more after the signal and still sees no deletion, which makes it
//!   `Terminating`. Silence means nothing: a controller may have left with its node.
//! - A drain is led by the controller while it says that the pod leaves. Before that the rules
//!   without a controller hold.
//! - Without a controller readiness is withdrawn after 2 s at the latest, for it may be the only
//!   lever; with one it is withdrawn at least 2 s before the greatest length of the lame-duck
//!   phase.
//! - After that the listener stays open until 1 s after the slices say that the pod does not serve,
//!   at the latest 3 s after readiness went; 2 s after it without a controller. New work in
//!   between starts the quiet time anew.
//! - After a restart the pod is back in service when the container answers again, or after 10 s:
//!   kubelet itself holds a pod unready whose container does not run or fails its probe.
//! - The restart of a container cuts nothing itself. What is in flight when its hook is released
//!   is counted as cut, and lost with the app.

mod clock;
mod facts;
mod milestone;
mod orders;
mod state;
mod transition;

pub use facts::Pod;
pub use milestone::Milestone;
pub use orders::{Orders, Release};

pub(crate) use state::milliseconds;

use crate::census::Snapshot;
use ebb_api::desired::Desired;
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::{Drain, Leaving as LeavingReport};
use ebb_api::settings::Settings;
use facts::{Facts, Hooks, Word};
use state::{Ended, Leaving, Stage, State};
use std::fmt;
use std::time::{Duration, Instant};
use transition::Transition;

/// How many transitions one event may cause. More would be a circle of rules; the machine then
/// rests for [`REST`] instead of spinning.
const TRANSITIONS_PER_EVENT: usize = 16;

/// How long the machine rests when it finds no end.
const REST: Duration = Duration::from_millis(100);

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Kubelet called a preStop hook.
    HookCalled(Caller),
    /// A desired state was accepted.
    Desired(Box<Desired>),
    /// Kubelet told the process to end.
    Sigterm,
    /// After a restart of its container the app answers again.
    AppAnswered,
    /// Connections changed, or it is time.
    Tick,
}

/// Whose hook was called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// The sidecar's own.
    Own,
    /// That of one of the app's containers.
    App(String),
}

/// The state of one pod's drain, and everything it depends on.
#[derive(Clone, Debug)]
pub struct Machine {
    facts: Facts,
    state: State,
    last: Option<Drain>,
    was_busy: bool,
}

// === impl Caller ===

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Caller::Own => ebb_api::names::SIDECAR_CONTAINER,
            Caller::App(name) => name,
        })
    }
}

// === impl Machine ===

impl Machine {
    /// A pod in service.
    pub fn new(pod: Pod, settings: Settings) -> Machine {
        Machine {
            facts: Facts {
                pod,
                settings,
                hooks: Hooks::default(),
                word: None,
                sigterm: None,
            },
            state: State::Serving,
            last: None,
            was_busy: false,
        }
    }

    /// Takes note of an event and applies every transition that is due. The milestones are in the
    /// order in which they were passed.
    pub fn on(
        &mut self,
        event: Event,
        snapshot: &Snapshot,
        now: Instant,
    ) -> (Orders, Vec<Milestone>) {
        let mut milestones = Vec::new();
        self.note(event, now, &mut milestones);
        for _ in 0..TRANSITIONS_PER_EVENT {
            self.observe(snapshot, now, &mut milestones);
            match transition::next(&self.state, &self.facts, snapshot, now) {
                Some((due, transition)) if due <= now => {
                    self.apply(transition, snapshot, now, &mut milestones)
                }
                _ => break,
            }
        }
        self.observe(snapshot, now, &mut milestones);
        let mut orders = orders::give(&self.state, &self.facts, snapshot, now);
        let next = transition::next(&self.state, &self.facts, snapshot, now)
            .map(|(due, _)| if due <= now { now + REST } else { due });
        orders.wake = orders.wake.into_iter().chain(next).min();
        (orders, milestones)
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.facts.settings
    }

    /// How far the pod has come.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// The drain that is going on, for the report.
    pub fn leaving(&self, now: Instant) -> Option<LeavingReport> {
        let State::Leaving(leaving) = &self.state else {
            return None;
        };
        let deadline = self.facts.deadline(leaving);
        (leaving.stage != Stage::Suspected).then(|| LeavingReport {
            trigger: leaving.trigger,
            elapsed_ms: milliseconds(now.saturating_duration_since(leaving.signal)),
            remaining_ms: milliseconds(deadline.saturating_duration_since(now)),
        })
    }

    /// The last drain that ended since the process started.
    pub fn last(&self) -> Option<&Drain> {
        match &self.state {
            State::Ended(ended) => Some(&ended.drain),
            State::Serving | State::Leaving(_) => self.last.as_ref(),
        }
    }

    /// The drain that ended the pod, once its hooks are released.
    pub fn ending(&self) -> Option<&Drain> {
        self.ended().map(|ended| &ended.drain)
    }

    /// The same as it is to be told if the process ends at this moment.
    pub fn last_words(&self, snapshot: &Snapshot) -> Option<Drain> {
        self.ended().map(|ended| ended.last_words(snapshot))
    }

    fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended(ended) if !ended.is_restart() => Some(ended),
            _ => None,
        }
    }

    fn note(&mut self, event: Event, now: Instant, milestones: &mut Vec<Milestone>) {
        let going = self.facts.sigterm.is_some();
        match event {
            // After SIGTERM every hook is answered at once, and nothing else follows from it.
            Event::HookCalled(_) if going => {}
            Event::HookCalled(Caller::Own) => {
                self.facts.hooks.own.get_or_insert(now);
            }
            // Disabled, or without a policy, the restart of a container is none of our business.
            Event::HookCalled(Caller::App(_)) if !self.facts.settings.enabled => {}
            Event::HookCalled(Caller::App(name)) => {
                self.facts.hooks.apps.entry(name).or_insert(now);
            }
            Event::Desired(desired) => {
                let word = Word::hear(self.facts.word.as_ref(), &desired, now);
                self.facts.word = Some(word);
                self.facts.settings = desired.settings;
            }
            Event::Sigterm => {
                if !going {
                    milestones.push(Milestone::Sigterm);
                }
                self.facts.sigterm.get_or_insert(now);
            }
            Event::AppAnswered => {
                if matches!(&self.state, State::Ended(ended) if ended.is_restart()) {
                    self.give_back(milestones);
                }
            }
            Event::Tick => {}
        }
    }

    /// Takes into the present state what the snapshot shows.
    fn observe(&mut self, snapshot: &Snapshot, now: Instant, milestones: &mut Vec<Milestone>) {
        let busy = snapshot.in_flight_in_all() > 0;
        match &mut self.state {
            State::Serving => {}
            State::Leaving(leaving) => {
                let gone = self.facts.guidance().and_then(|word| word.gone);
                match (gone, leaving.gone) {
                    (Some(at), None) => {
                        let at = at.max(leaving.signal);
                        leaving.gone = Some((at, snapshot.work));
                        milestones.push(Milestone::EndpointsGone);
                    }
                    (None, Some(_)) => leaving.gone = None,
                    _ => {}
                }
                let seen = (snapshot.work, snapshot.finished);
                if leaving.moved.0 != seen {
                    leaving.moved = (seen, now);
                }
                match orders::goodbyes(leaving, &self.facts) {
                    Some(due) if due <= now => leaving.parting = leaving.parting.or(Some(now)),
                    _ => leaving.parting = None,
                }
                if leaving.stage == Stage::Draining && self.was_busy && !busy {
                    milestones.push(Milestone::LastByte);
                }
            }
            State::Ended(ended) if ended.is_restart() => {}
            State::Ended(ended) => ended.recount(snapshot),
        }
        self.was_busy = busy;
    }

    /// The one place where the state changes, but for the app's answer after a restart.
    fn apply(
        &mut self,
        transition: Transition,
        snapshot: &Snapshot,
        now: Instant,
        milestones: &mut Vec<Milestone>,
    ) {
        let state = std::mem::replace(&mut self.state, State::Serving);
        self.state = match (transition, state) {
            (Transition::Suspect, _) => State::Leaving(Leaving::begin(
                Stage::Suspected,
                Trigger::ContainerRestart,
                snapshot,
                now,
            )),
            (Transition::HoldRestart, State::Leaving(leaving)) => {
                milestones.push(Milestone::Signal(Trigger::ContainerRestart));
                State::Leaving(leaving.at_stage(Stage::Restarting, now))
            }
            (Transition::Leave(trigger), state) => {
                milestones.push(Milestone::Signal(trigger));
                let mut leaving = match state {
                    State::Leaving(suspected) if suspected.stage == Stage::Suspected => {
                        suspected.at_stage(Stage::LameDuck, now)
                    }
                    _ => Leaving::begin(Stage::LameDuck, trigger, snapshot, now),
                };
                leaving.restate(trigger, now);
                State::Leaving(leaving)
            }
            (Transition::Restate(trigger), State::Leaving(mut leaving)) => {
                milestones.push(Milestone::Restated(trigger));
                leaving.restate(trigger, now);
                State::Leaving(leaving)
            }
            (Transition::Unready, State::Leaving(mut leaving)) => {
                milestones.push(Milestone::Unready);
                leaving.unready.get_or_insert(now);
                State::Leaving(leaving.at_stage(Stage::Unready, now))
            }
            (Transition::Drain, State::Leaving(mut leaving)) => {
                milestones.push(Milestone::Draining {
                    in_flight: snapshot.in_flight_in_all(),
                });
                leaving.deregistered = Some(now);
                State::Leaving(leaving.at_stage(Stage::Draining, now))
            }
            (Transition::Cut, State::Leaving(mut leaving)) => {
                let in_flight = self.facts.to_cut(snapshot);
                leaving.handed_over = self.facts.to_hand_over(snapshot);
                milestones.push(Milestone::Cutting {
                    in_flight,
                    handed_over: leaving.handed_over,
                });
                leaving.oldest_cut = snapshot.oldest;
                State::Leaving(leaving.at_stage(Stage::Cutting, now))
            }
            (Transition::Finish(outcome), State::Leaving(leaving)) => {
                self.finish(leaving, outcome, snapshot, now, milestones)
            }
            (Transition::Cancel, State::Leaving(leaving)) => {
                let ended = leaving.end(Outcome::Cancelled, snapshot, now);
                milestones.push(Milestone::CalledOff(Box::new(ended.drain.clone())));
                self.last = Some(ended.drain);
                self.give_back(milestones);
                State::Serving
            }
            (Transition::Cancel, State::Ended(mut ended)) => {
                ended.drain.outcome = Outcome::Cancelled;
                milestones.push(Milestone::CalledOff(Box::new(ended.drain.clone())));
                self.last = Some(ended.drain);
                self.give_back(milestones);
                State::Serving
            }
            (Transition::Return, state) => {
                if let State::Ended(ended) = state {
                    self.last = Some(ended.drain);
                }
                self.give_back(milestones);
                State::Serving
            }
            // No other pair is ever due.
            (_, state) => state,
        };
    }

    fn finish(
        &mut self,
        mut leaving: Leaving,
        outcome: Outcome,
        snapshot: &Snapshot,
        now: Instant,
        milestones: &mut Vec<Milestone>,
    ) -> State {
        // SIGTERM on top of a hook: it was the pod after all.
        if outcome == Outcome::Killed && leaving.trigger == Trigger::ContainerRestart {
            leaving.trigger = Trigger::Deleted;
        }
        let restart = leaving.trigger == Trigger::ContainerRestart;
        let mut ended = leaving.end(outcome, snapshot, now);
        milestones.push(Milestone::Ended(Box::new(ended.drain.clone())));
        if restart {
            // Whoever calls from now on calls for another restart.
            let hooks = std::mem::take(&mut self.facts.hooks);
            ended.restarting = hooks.apps.into_keys().collect();
        }
        State::Ended(ended)
    }

    /// Back to service: the next hook begins anew.
    fn give_back(&mut self, milestones: &mut Vec<Milestone>) {
        if let State::Ended(ended) = &self.state {
            self.last = Some(ended.drain.clone());
        }
        milestones.push(Milestone::BackInService);
        self.facts.hooks = Hooks::default();
        self.state = State::Serving;
    }
}

#[cfg(test)]
mod tests;
