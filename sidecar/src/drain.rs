//! When a pod leaves, how far it has come, and when its hooks may be answered: decisions only.
//!
//! A [`Machine`] is given what happened ([`Event`]), what the connections look like ([`Snapshot`])
//! and what time it is; it answers with [`Orders`], a level that the rest of the process follows.
//! It does no IO, holds no clock and never waits: [`Orders::wake`] says when to ask again.
//!
//! ```text
//!             app's hook alone         still alone after 1 s
//!   Serving ------------------> Suspected -----------------> Restarting --> Restarted --+
//!    ^  |                          | own hook, or the controller says so                |
//!    |  +--------------------------+                                                    |
//!    |  v                                                                               |
//!    | LameDuck --> Unready --> Draining --> (Cutting) --> Released                     |
//!    |  least time,  not serving   idle                      |                          |
//!    |  endpoints    any more,                               |                          |
//!    |  gone, quiet  quiet                                   |                          |
//!    +-------------------------------------------------------+--------------------------+
//!      no SIGTERM and no controller's word in time: it heals      the app answers again
//! ```
//!
//! | stage | phase | stance | ready | hooks | goodbyes | what ends it |
//! |---|---|---|---|---|---|---|
//! | Serving | Serving | Serving | yes | held | none | a hook, or the controller says that the pod leaves |
//! | Suspected | Serving | Serving | yes | held | none | 1 s without the pod's own hook (Restarting); that hook or the controller (LameDuck) |
//! | Restarting | Deregistering | Parting | no | held | at once | idle, nothing moved for 2 s, or the deadline: at most 10 s (Restarted) |
//! | LameDuck | Deregistering | Serving, then Parting | yes for Deleted, else no | held; own alone and idle for 100 ms: released | when the endpoints are gone; without a controller 1 s after the signal | least time, endpoints gone and quiet; at the latest 2 s before the greatest time; without a controller quiet, at the latest 2 s after the signal (Unready) |
//! | LameDuck, alone | Deregistering | Serving | as above | as above | none | the same, and nothing is in flight that was so at the signal; at the latest 2 s before the deadline (Draining). Another endpoint is ready: as above, the greatest time counted from there |
//! | Unready | Deregistering | Parting | no | as above | at once; without a controller 1 s after the signal | alone (LameDuck); 1 s after "not serving", at most 3 s after readiness went, and quiet; without a controller 2 s; at the latest the greatest time (Draining) |
//! | Draining | Draining | Draining | no | as above | go on | idle, and HTTP/1 clients are not expected back any more (Released); the deadline with work in flight (Cutting) |
//! | Cutting | Draining | Cut | no | held | too late | nothing is left to cut, at most 500 ms (Released) |
//! | Restarted | Ended | Parting | no | released | at once | the container answers, or 10 s (Serving); the pod goes (LameDuck) |
//! | Released | Ended | Draining; Cut after TimedOut, Serving after Skipped | no; yes after Skipped | released | go on | SIGTERM and idle: the process exits; neither SIGTERM nor the controller's word in time (Serving) |
//!
//! *Alone* is a pod while the controller says that a Service of it has no other ready endpoint: see
//! `alone`. Draining then waits for no idle client, spreads no goodbyes, and lasts for the pod's
//! own grace period at most.
//!
//! *Gone* are the endpoints, where clients find the pod by DNS alone, when the last answer that
//! names it has expired: see `dns`.
//!
//! The deadline ends LameDuck and Unready, too. So does SIGTERM each stage of a leaving pod
//! (Released, with the stance Closing at least), a policy that is disabled (Released or, for a
//! restart, Serving), and a controller that takes its word back where kubelet called no hook
//! (Serving). Where the policy is disabled, and after SIGTERM, hooks are answered at once in every
//! stage.
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

mod alone;
mod apply;
mod clock;
mod dns;
mod facts;
mod milestone;
mod orders;
mod parts;
mod record;
mod state;
mod transition;
mod trigger;

pub use facts::Pod;
pub use milestone::Milestone;
pub use orders::{Orders, Release};

pub(crate) use trigger::{Source, rules};

use crate::census::{Snapshot, milliseconds};
use apply::Moment;
use ebb_api::desired::Desired;
use ebb_api::phase::Phase;
use ebb_api::report::{Drain, Leaving as LeavingReport};
use ebb_api::settings::Settings;
use facts::{Facts, Hooks, Word};
use parts::Wait;
use state::{Ended, Restart, Stage, State};
use std::fmt;
use std::time::{Duration, Instant};

/// How many transitions one event may cause. More would be a circle of rules; the machine then
/// rests for [`REST`] instead of spinning.
const TRANSITIONS_PER_EVENT: usize = 16;

/// How long the machine rests when it finds no end.
const REST: Duration = Duration::from_millis(100);

/// What the machine reacts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Kubelet called a preStop hook.
    HookCalled(Caller),
    /// A desired state was accepted.
    Desired(Box<Desired>),
    /// The process got SIGTERM.
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
                    let milestones = &mut milestones;
                    let mut moment = Moment {
                        snapshot,
                        now,
                        milestones,
                    };
                    self.apply(transition, &mut moment);
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

    /// The controller's last word: when it came, and whether the pod leaves by it. `None` if it
    /// never spoke, and after SIGTERM, when nothing that it says counts any more.
    pub fn word(&self) -> Option<(Instant, bool)> {
        let word = self.facts.word.as_ref();
        let word = word.filter(|_| self.facts.sigterm.is_none())?;
        Some((word.at, word.leave.is_some()))
    }

    /// How far the pod has come.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// The drain that is going on, for the report.
    pub fn leaving(&self, snapshot: &Snapshot, now: Instant) -> Option<LeavingReport> {
        let State::Leaving(leaving) = &self.state else {
            return None;
        };
        let deadline = self.facts.deadline(leaving);
        (leaving.stage != Stage::Suspected).then(|| LeavingReport {
            trigger: leaving.trigger,
            elapsed_ms: milliseconds(now.saturating_duration_since(leaving.signal)),
            remaining_ms: milliseconds(deadline.saturating_duration_since(now)),
            broken: leaving.broken(snapshot),
            alone_in: self
                .facts
                .alone_in()
                .filter(|_| self.facts.goes_on_accepting(leaving))
                .map(str::to_owned),
            dns_ms: self.facts.dns_ms(leaving, now),
        })
    }

    /// The last drain that ended since the process started.
    pub fn last(&self) -> Option<&Drain> {
        match &self.state {
            State::Restarted(Restart { ended, .. }) | State::Released(ended) => Some(&ended.drain),
            State::Serving | State::Leaving(_) => self.last.as_ref(),
        }
    }

    /// The drain that ended the pod, once its hooks are released.
    pub fn ending(&self) -> Option<&Drain> {
        self.released().map(|ended| &ended.drain)
    }

    /// The same as it is to be reported if the process ends at this moment.
    pub fn last_words(&self, snapshot: &Snapshot) -> Option<Drain> {
        self.released().map(|ended| ended.last_words(snapshot))
    }

    fn released(&self) -> Option<&Ended> {
        match &self.state {
            State::Released(ended) => Some(ended),
            State::Serving | State::Leaving(_) | State::Restarted(_) => None,
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
                let word = Word::after(self.facts.word.as_ref(), &desired, now);
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
                if let State::Restarted(_) = &self.state {
                    let restarted = std::mem::replace(&mut self.state, State::Serving);
                    self.state = self.come_back(restarted, milestones);
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
                let alone = self.facts.goes_on_accepting(leaving);
                match (leaving.alone, self.facts.alone_in()) {
                    (false, Some(service)) if alone => {
                        milestones.push(Milestone::Alone(service.to_owned()));
                    }
                    (true, None) => milestones.push(Milestone::Relieved),
                    _ => {}
                }
                leaving.alone = alone;
                let seen = (snapshot.work, snapshot.finished);
                if leaving.moved.0 != seen {
                    leaving.moved = (seen, now);
                }
                match orders::goodbyes(leaving, &self.facts) {
                    Some(due) if due <= now => leaving.parting = leaving.parting.or(Some(now)),
                    _ => leaving.parting = None,
                }
                milestones.extend(leaving.breaks(snapshot));
                if leaving.stage == Stage::Draining && self.was_busy && !busy {
                    milestones.push(Milestone::LastByte);
                }
                let wait = Wait::of(leaving, &self.facts, snapshot, now);
                leaving.parts.go_on(wait, now);
            }
            State::Restarted(_) => {}
            State::Released(ended) => {
                ended.recount(snapshot);
                milestones.extend(ended.leaving.breaks(snapshot));
            }
        }
        self.was_busy = busy;
    }
}

#[cfg(test)]
mod tests;
