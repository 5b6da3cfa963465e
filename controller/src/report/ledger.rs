//! Every drain from its beginning to its end, each counted exactly once: pure bookkeeping.
//!
//! A drain ends with the sidecar's last words, which kubelet puts into the pod's status before the
//! object goes. Where an object goes without them, the last state of the sidecar's own stream
//! stands in, if it tells of an end; else the pod was killed: its grace period, its node or its
//! sidecar ended before the drain did.

use super::sentence;
use crate::cluster::{PodView, SidecarState, SidecarView};
use crate::plan::protection::Contact;
use ebb_api::desired::Leave;
use ebb_api::phase::{Outcome, Trigger};
use ebb_api::report::{Drain, FinalReport, Report};
use ebb_api::settings::Settings;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

/// The drains of all pods with a sidecar.
#[derive(Debug, Default)]
pub struct Ledger {
    pods: HashMap<String, Account>,
}

/// What is known of one pod with a sidecar.
#[derive(Debug)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The settings that it acts on.
    pub settings: Settings,
    /// Whether its sidecar answers.
    pub contact: Contact,
    /// How far it has come, and when that was said.
    pub report: Option<(Report, Instant)>,
    /// Since when it has been leaving, by our clock, and why.
    pub leaving: Option<(Timestamp, Trigger)>,
    /// The starts of its sidecar whose end is counted.
    counted: BTreeSet<String>,
}

/// What is worth writing down.
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
    /// Of which pod.
    pub pod: PodName,
    /// By what.
    pub settings: Settings,
    /// Why.
    pub trigger: Trigger,
}

/// A drain that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Of which pod.
    pub pod: PodName,
    /// Whose policy was in force at the end.
    pub policy: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the pod left.
    pub trigger: Trigger,
    /// What came of it, in a sentence.
    pub summary: String,
    /// Requests and connections that finished.
    pub finished: u64,
    /// Requests and connections that were cut.
    pub cut: u64,
    /// Requests and connections that came late.
    pub late: u64,
}

impl Ledger {
    /// The account of the pod of that UID.
    pub fn account(&self, uid: &str) -> Option<&Account> {
        self.pods.get(uid)
    }

    /// Takes in a pod with a sidecar as it is now. `before` is what an earlier process wrote down
    /// about it; it counts for pods that were not seen by this one.
    pub fn see(
        &mut self,
        pod: &PodView,
        settings: &Settings,
        before: &Before,
        now: Timestamp,
    ) -> Vec<Entry> {
        let Some(sidecar) = &pod.sidecar else {
            return Vec::new();
        };
        let before = match self.pods.contains_key(&pod.uid) {
            true => Before::default(),
            false => *before,
        };
        let account = self.pods.entry(pod.uid.clone()).or_insert_with(|| Account {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            settings: settings.clone(),
            contact: Contact::None,
            report: None,
            leaving: None,
            counted: match (&sidecar.last, before.counted) {
                (Some(last), true) => BTreeSet::from([last.boot.clone()]),
                _ => BTreeSet::new(),
            },
        });
        account.settings = settings.clone();
        let mut entries = Vec::new();
        if let Some(leave) = pod.leave
            && account.leaving.is_none()
            && account.can_drain(sidecar)
        {
            account.leaving = Some((before.since.unwrap_or(now), leave.trigger));
            if before.since.is_none() {
                entries.push(Entry::Began(account.began(leave)));
            }
        }
        if let Some(last) = &sidecar.last {
            entries.extend(account.end(last).map(Entry::Ended));
        }
        entries
    }

    /// Closes the account of a pod that is gone; this is how it was when it went.
    pub fn gone(&mut self, pod: &PodView) -> Option<Ending> {
        let mut account = self.pods.remove(&pod.uid)?;
        let last = pod
            .sidecar
            .as_ref()
            .and_then(|sidecar| sidecar.last.as_ref());
        if let Some(ending) = last.and_then(|last| account.end(last)) {
            return Some(ending);
        }
        // Counted already, or it never served.
        let (_, trigger) = account.leaving.take()?;
        let told = account.report.take().and_then(|(report, _)| report.last);
        Some(match told {
            Some(drain) => account.ended(account.settings.policy.clone(), &drain),
            None => account.killed(trigger, "it went without its sidecar's last words"),
        })
    }

    /// Notes whether the sidecar of a pod answers. Says whether the pod is known.
    pub fn contact(&mut self, uid: &str, contact: Contact) -> Option<&Account> {
        let account = self.pods.get_mut(uid)?;
        account.contact = contact;
        Some(account)
    }

    /// Notes how far a leaving pod has come.
    pub fn report(&mut self, uid: &str, report: Report, now: Instant) -> Option<&Account> {
        let account = self.pods.get_mut(uid)?;
        account.report = Some((report, now));
        Some(account)
    }
}

/// What an earlier process wrote down about a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// When it began to leave.
    pub since: Option<Timestamp>,
    /// Whether its end is counted.
    pub counted: bool,
}

impl Account {
    /// Whether a start of the sidecar is there whose end is not counted yet.
    fn can_drain(&self, sidecar: &SidecarView) -> bool {
        match (sidecar.state, &sidecar.last) {
            (SidecarState::NotStarted, _) => false,
            (SidecarState::Running, _) | (SidecarState::Ended, None) => true,
            (SidecarState::Ended, Some(last)) => !self.counted.contains(&last.boot),
        }
    }

    fn pod(&self) -> PodName {
        PodName {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }

    fn began(&self, leave: Leave) -> Beginning {
        Beginning {
            pod: self.pod(),
            settings: self.settings.clone(),
            trigger: leave.trigger,
        }
    }

    /// The end that these last words tell of, unless they were heard before.
    fn end(&mut self, last: &FinalReport) -> Option<Ending> {
        if self.counted.contains(&last.boot) {
            return None;
        }
        let leaving = self.leaving;
        let ending = match (&last.drain, leaving) {
            (Some(drain), _) => self.ended(last.policy.clone(), drain),
            (None, Some((_, trigger))) => {
                self.killed(trigger, "its sidecar ended before it could drain")
            }
            // A restart of a serving pod's sidecar is no drain.
            (None, None) => return None,
        };
        self.leaving = None;
        self.counted.insert(last.boot.clone());
        Some(ending)
    }

    fn ended(&self, policy: Option<String>, drain: &Drain) -> Ending {
        Ending {
            pod: self.pod(),
            policy,
            outcome: drain.outcome,
            trigger: drain.trigger,
            summary: sentence::summary(drain),
            finished: drain.finished,
            cut: drain.cut_in_all(),
            late: drain.late,
        }
    }

    fn killed(&self, trigger: Trigger, why: &str) -> Ending {
        Ending {
            pod: self.pod(),
            policy: self.settings.policy.clone(),
            outcome: Outcome::Killed,
            trigger,
            summary: format!("Nothing is known of its connections: {why}"),
            finished: 0,
            cut: 0,
            late: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod::tests::injected;
    use crate::report::sentence::tests::timed_out;
    use ebb_api::report::Mode;

    fn leaving(name: &str) -> PodView {
        PodView {
            leave: Some(Leave {
                trigger: Trigger::Deleted,
                grace_seconds: Some(335),
            }),
            ..injected(name)
        }
    }

    fn with_last_words(mut pod: PodView, boot: &str, drain: Option<Drain>) -> PodView {
        let sidecar = pod.sidecar.as_mut().unwrap();
        sidecar.state = SidecarState::Ended;
        sidecar.last = Some(Box::new(FinalReport {
            boot: boot.to_owned(),
            mode: Mode::Redirect,
            policy: Some("web".to_owned()),
            drain,
        }));
        pod
    }

    fn see(ledger: &mut Ledger, pod: &PodView) -> Vec<Entry> {
        let settings = Settings::without_policy();
        ledger.see(pod, &settings, &Before::default(), Timestamp::UNIX_EPOCH)
    }

    /// Kubelet writes the last words once, but events repeat them: MODIFIED, MODIFIED, DELETED.
    #[test]
    fn a_drain_is_counted_once() {
        let mut ledger = Ledger::default();
        assert!(see(&mut ledger, &injected("a")).is_empty());
        assert!(matches!(
            see(&mut ledger, &leaving("a"))[..],
            [Entry::Began(_)]
        ));
        assert!(see(&mut ledger, &leaving("a")).is_empty());
        let ended = with_last_words(leaving("a"), "b1", Some(timed_out()));
        let entries = see(&mut ledger, &ended);
        let [Entry::Ended(ending)] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!((ending.outcome, ending.cut), (Outcome::TimedOut, 1));
        assert_eq!(ending.policy.as_deref(), Some("web"));
        assert!(see(&mut ledger, &ended).is_empty());
        assert_eq!(ledger.gone(&ended), None);
    }

    /// No last words, and none on the stream either: somebody ended it.
    #[test]
    fn an_object_that_goes_without_last_words_was_killed() {
        let mut ledger = Ledger::default();
        see(&mut ledger, &leaving("a"));
        assert_eq!(ledger.gone(&leaving("a")).unwrap().outcome, Outcome::Killed);
        assert_eq!(ledger.gone(&leaving("a")), None);
    }

    /// The last that its stream said stands in for lost last words.
    #[test]
    fn the_stream_stands_in_for_lost_last_words() {
        let mut ledger = Ledger::default();
        see(&mut ledger, &leaving("a"));
        let mut report = crate::report::sentence::tests::draining();
        report.last = Some(timed_out());
        ledger.report("uid-of-a", report, Instant::now());
        assert_eq!(
            ledger.gone(&leaving("a")).unwrap().outcome,
            Outcome::TimedOut
        );
    }

    /// A pod that was deleted before its sidecar ran had nothing to drain.
    #[test]
    fn a_pod_that_never_ran_is_not_counted() {
        let mut ledger = Ledger::default();
        let mut pod = leaving("a");
        pod.sidecar.as_mut().unwrap().state = SidecarState::NotStarted;
        assert!(see(&mut ledger, &pod).is_empty());
        assert_eq!(ledger.gone(&pod), None);
    }

    /// A sidecar that restarts in a serving pod ends no drain; its next start can.
    #[test]
    fn a_restart_while_serving_is_no_drain() {
        let mut ledger = Ledger::default();
        assert!(see(&mut ledger, &with_last_words(injected("a"), "b1", None)).is_empty());
        see(&mut ledger, &leaving("a"));
        let ended = with_last_words(leaving("a"), "b2", Some(timed_out()));
        assert!(matches!(see(&mut ledger, &ended)[..], [Entry::Ended(_)]));
    }

    /// What an earlier process has written down is not told again.
    #[test]
    fn a_new_process_goes_on_where_the_last_one_ended() {
        let settings = Settings::without_policy();
        let since = Timestamp::from_second(7).unwrap();
        let mut ledger = Ledger::default();
        let before = Before {
            since: Some(since),
            counted: false,
        };
        let now = Timestamp::from_second(9).unwrap();
        assert!(
            ledger
                .see(&leaving("a"), &settings, &before, now)
                .is_empty()
        );
        let account = ledger.account("uid-of-a").unwrap();
        assert_eq!(account.leaving, Some((since, Trigger::Deleted)));
        let counted = Before {
            since: None,
            counted: true,
        };
        let ended = with_last_words(leaving("b"), "b1", Some(timed_out()));
        assert!(ledger.see(&ended, &settings, &counted, now).is_empty());
        assert_eq!(ledger.gone(&ended), None);
    }
}
