//! The log of every pod's drain from its beginning to its end, each counted exactly once: pure
//! bookkeeping.
//!
//! A drain ends with the sidecar's final report, which kubelet puts into the pod's status before
//! the object goes. Where an object goes without one, the last report of the sidecar's own stream
//! stands in, if it has an end; else the pod was killed: its grace period, its node or its sidecar
//! ended before the drain did.

use ebb_api::capture::Mode;
use ebb_api::desired::Leave;
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::{Drain, FinalReport, Report};
use ebb_api::settings::Settings;
use ebb_api::status::Counts;
use ebb_model::text::sentence;
use ebb_model::views::Contact;
use ebb_model::views::{PodView, SidecarState, SidecarView};
use jiff::Timestamp;
use std::collections::HashMap;
use tokio::time::Instant;

/// The drains of all pods with a sidecar.
#[derive(Debug, Default)]
pub struct DrainLog {
    pods: HashMap<String, PodDrain>,
}

/// One pod with a sidecar, and its drain.
#[derive(Debug)]
pub struct PodDrain {
    /// The pod.
    pub pod: PodName,
    /// The settings that it acts on.
    pub settings: Settings,
    /// Whether its sidecar answers.
    pub contact: Contact,
    /// Its sidecar's last report, and when it came.
    pub report: Option<(Report, Instant)>,
    /// Since when it has been leaving, by our clock, and why.
    pub leaving: Option<(Timestamp, Trigger)>,
    /// The start of its sidecar whose final report was taken in last. One is enough: a pod's status
    /// has only the latest.
    reported: Option<String>,
}

/// What the plan knows of a pod's drain.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainFacts {
    /// The settings that its sidecar is to act on.
    pub settings: Settings,
    /// Whether the pod is to leave, and why.
    pub leave: Option<Leave>,
    /// Whether its sidecar runs.
    pub state: SidecarState,
    /// The final report of the latest start of its sidecar that has ended.
    pub last: Option<Box<FinalReport>>,
}

/// What is worth an Event.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A drain began.
    Began(Beginning),
    /// A drain ended.
    Ended(Ending),
}

/// A pod, as reports name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// A drain that began.
#[derive(Clone, Debug, PartialEq)]
pub struct Beginning {
    /// The pod.
    pub pod: PodName,
    /// The settings that it follows.
    pub settings: Settings,
    /// Why the pod leaves.
    pub trigger: Trigger,
}

/// A drain that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// The pod.
    pub pod: PodName,
    /// The policy that was in force at the end.
    pub policy: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the pod left.
    pub trigger: Trigger,
    /// Its result, as a sentence.
    pub summary: String,
    /// Requests and connections that finished.
    pub finished: u64,
    /// They were only observed: of those that finished not all were seen.
    pub observed: bool,
    /// What became of the others.
    pub counts: Counts,
}

impl PodName {
    /// The name of the pod of that view.
    pub fn of(pod: &PodView) -> PodName {
        PodName {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        }
    }
}

impl DrainLog {
    /// The pod of that UID.
    pub fn pod(&self, uid: &str) -> Option<&PodDrain> {
        self.pods.get(uid)
    }

    /// Takes in a pod with a sidecar as it is now. `before` is what an earlier process wrote about
    /// it; it counts for pods that this process sees for the first time.
    pub fn see(
        &mut self,
        pod: &PodName,
        facts: DrainFacts,
        before: &Before,
        now: Timestamp,
    ) -> Vec<Entry> {
        let before = match self.pods.contains_key(&pod.uid) {
            true => Before::default(),
            false => *before,
        };
        let known = self
            .pods
            .entry(pod.uid.clone())
            .or_insert_with(|| PodDrain {
                pod: pod.clone(),
                settings: facts.settings.clone(),
                contact: Contact::None,
                report: None,
                leaving: None,
                reported: reported_before(&facts, before),
            });
        let DrainFacts {
            settings,
            leave,
            state,
            last,
        } = facts;
        known.settings = settings;
        let mut entries = Vec::new();
        if let Some(leave) = leave
            && known.leaving.is_none()
            && known.can_drain(state, last.as_deref())
        {
            known.leaving = Some((before.since.unwrap_or(now), leave.trigger));
            if before.since.is_none() {
                entries.push(Entry::Began(known.began(leave)));
            }
        }
        if let Some(last) = last {
            entries.extend(known.end(&last).map(Entry::Ended));
        }
        entries
    }

    /// Forgets a pod that is gone. `sidecar` is how its sidecar was when it was last seen, if it
    /// had one.
    pub fn gone(&mut self, uid: &str, sidecar: Option<&SidecarView>) -> Option<Ending> {
        let mut known = self.pods.remove(uid)?;
        let last = sidecar.and_then(|sidecar| sidecar.last.as_deref());
        if let Some(ending) = last.and_then(|last| known.end(last)) {
            return Some(ending);
        }
        // Counted already, or it never served.
        let (_, trigger) = known.leaving.take()?;
        // While one goes on, the last that ended is another: a restart of the app, say, or one that
        // was called off.
        let ended = known.report.take().map(|(report, _)| report);
        let ended = ended.filter(|report| report.phase == Phase::Ended);
        let last = ended.and_then(|report| Some((report.mode, report.last?)));
        Some(match last {
            Some((mode, drain)) => known.ended(known.settings.policy.clone(), mode, &drain),
            None => match sidecar.and_then(|sidecar| sidecar.garbled.as_deref()) {
                Some(error) => known.killed(
                    trigger,
                    &format!("its sidecar's last words can't be read ({error})"),
                ),
                None => known.killed(trigger, "it went without its sidecar's last words"),
            },
        })
    }

    /// Notes whether the sidecar of a pod answers, and what it says of itself. Returns the pod, if
    /// it is known and that is news.
    pub fn contact(&mut self, uid: &str, contact: Contact) -> Option<Contacted<'_>> {
        let known = self.pods.get_mut(uid)?;
        let before = std::mem::replace(&mut known.contact, contact);
        if known.contact == before {
            return None;
        }
        let refused = known.contact.seen().refused_hooks;
        Some(Contacted {
            // Another start of the sidecar counts anew.
            refused_hooks: refused.saturating_sub(before.seen().refused_hooks),
            pod: known,
        })
    }

    /// Takes in a report of a leaving pod's sidecar. Returns the pod, if it is known.
    pub fn report(&mut self, uid: &str, report: Report, now: Instant) -> Option<&PodDrain> {
        let known = self.pods.get_mut(uid)?;
        known.report = Some((report, now));
        Some(known)
    }
}

/// What is new about a sidecar.
#[derive(Debug)]
pub struct Contacted<'a> {
    /// Its pod.
    pub pod: &'a PodDrain,
    /// How many hook calls of strangers it has refused since it was last heard.
    pub refused_hooks: u64,
}

/// What an earlier process wrote about a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// When it began to leave.
    pub since: Option<Timestamp>,
    /// Whether its end is counted.
    pub counted: bool,
}

impl PodDrain {
    /// Whether there is a start of the sidecar whose final report was not taken in yet.
    fn can_drain(&self, state: SidecarState, last: Option<&FinalReport>) -> bool {
        match (state, last) {
            (SidecarState::NotStarted, _) => false,
            (SidecarState::Running, _) | (SidecarState::Ended, None) => true,
            (SidecarState::Ended, Some(last)) => !self.has_reported(last),
        }
    }

    fn began(&self, leave: Leave) -> Beginning {
        Beginning {
            pod: self.pod.clone(),
            settings: self.settings.clone(),
            trigger: leave.trigger,
        }
    }

    fn has_reported(&self, last: &FinalReport) -> bool {
        self.reported.as_deref() == Some(&last.boot)
    }

    /// The end that this final report has, unless it was taken in before.
    fn end(&mut self, last: &FinalReport) -> Option<Ending> {
        if self.has_reported(last) {
            return None;
        }
        self.reported = Some(last.boot.clone());
        match (&last.drain, self.leaving.take()) {
            (Some(drain), _) => Some(self.ended(last.policy.clone(), last.mode, drain)),
            (None, Some((_, trigger))) => {
                Some(self.killed(trigger, "its sidecar ended before it could drain"))
            }
            // A restart of a serving pod's sidecar is no drain.
            (None, None) => None,
        }
    }

    fn ended(&self, policy: Option<String>, mode: Mode, drain: &Drain) -> Ending {
        Ending {
            pod: self.pod.clone(),
            policy,
            outcome: drain.outcome,
            trigger: drain.trigger,
            summary: sentence::summary(mode, drain),
            finished: drain.finished,
            observed: mode == Mode::Observe,
            counts: Counts {
                cut: drain.cut_in_all(),
                broken: drain.broken_in_all(),
                abandoned: drain.abandoned_in_all(),
                late: drain.late,
            },
        }
    }

    fn killed(&self, trigger: Trigger, why: &str) -> Ending {
        Ending {
            pod: self.pod.clone(),
            policy: self.settings.policy.clone(),
            outcome: Outcome::Killed,
            trigger,
            summary: format!("Nothing is known of its connections: {why}"),
            finished: 0,
            observed: false,
            counts: Counts::default(),
        }
    }
}

/// The start whose final report is in the status of a pod that this process sees for the first
/// time, if it is old: that of a start before the present one, one that an earlier process has
/// counted, and one of a pod that stays (of a finished Job, for years). What ended while no
/// controller ran is not guessed at.
fn reported_before(facts: &DrainFacts, before: Before) -> Option<String> {
    let last = facts.last.as_ref()?;
    let is_old = facts.state == SidecarState::Running || before.counted || facts.leave.is_none();
    is_old.then(|| last.boot.clone())
}

#[cfg(test)]
pub(super) mod tests;
