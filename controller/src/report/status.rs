//! The status of one policy, computed anew from all that is known: pure.

use super::ledger::{Account, Ending, Ledger};
use super::sentence;
use crate::cluster::{InvalidPolicy, NamespaceView, PolicyView};
use crate::plan::conditions::{self, Reach, Short, condition, whole_seconds};
use crate::plan::protection::{Contact, gap};
use crate::plan::select::in_force;
use ebb_api::status::{Active, DrainPolicyStatus, InForce, RECORDS, Recent, Totals};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

/// How connections reach the sidecar, as the status names it.
const MODE: &str = "Redirect";

/// What a policy's status holds that is not in the cluster: the past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The last drains that ended, newest first.
    pub recent: Vec<Recent>,
    /// How many ended how.
    pub totals: Totals,
}

/// One moment on both clocks: the one for what is written down, the other for what is measured.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For people.
    pub wall: Timestamp,
    /// For durations.
    pub instant: Instant,
}

impl Now {
    /// This moment.
    pub fn read() -> Now {
        Now {
            wall: Timestamp::now(),
            instant: Instant::now(),
        }
    }
}

impl History {
    /// The past that a status tells of.
    pub fn of(status: &DrainPolicyStatus) -> History {
        History {
            recent: status.recent.clone(),
            totals: status.totals.clone(),
        }
    }

    /// Writes down a drain that has ended.
    pub fn record(&mut self, ending: &Ending, now: Timestamp) {
        self.totals.count(ending.outcome, ending.cut, ending.late);
        let recent = Recent {
            pod: ending.pod.name.clone(),
            result: ending.outcome,
            summary: ending.summary.clone(),
            time: Time(whole_seconds(now)),
            trigger: ending.trigger,
        };
        self.recent.insert(0, recent);
        self.recent.truncate(RECORDS);
    }
}

/// What the policy means for the pods of its namespace.
pub fn reach(namespace: &NamespaceView, policy: &PolicyView, ledger: &Ledger) -> Reach {
    let mut reach = Reach::default();
    let selected = namespace
        .pods
        .values()
        .filter(|pod| !pod.finished && policy.selects(&pod.labels));
    for pod in selected {
        let Some(winner) = in_force(&namespace.policies, &pod.labels) else {
            continue;
        };
        if winner.name != policy.name {
            if pod.leave.is_none() {
                *reach.held_by_older.entry(winner.name.clone()).or_default() += 1;
            }
            continue;
        }
        if pod.leave.is_some() {
            reach.targets.leaving += 1;
            continue;
        }
        reach.targets.selected += 1;
        reach.targets.serving += u32::from(pod.ready);
        let contact = ledger
            .account(&pod.uid)
            .map_or(&Contact::None, |it| &it.contact);
        match gap(namespace, policy, pod, contact) {
            None => reach.targets.protected += 1,
            Some(gap) => {
                reach.targets.unprotected += 1;
                let short = Short {
                    pod: pod.name.clone(),
                    owner: pod.owner.clone(),
                };
                reach.gaps.push((gap, short));
            }
        }
    }
    reach
}

/// The status of a valid policy. `before` is the status as it stands.
pub fn status(
    namespace: &NamespaceView,
    policy: &PolicyView,
    ledger: &Ledger,
    history: &History,
    before: &DrainPolicyStatus,
    now: Now,
) -> DrainPolicyStatus {
    let reach = reach(namespace, policy, ledger);
    let findings = [
        conditions::ready(policy, &reach),
        conditions::protected(policy, &reach),
    ];
    let mut leaving: Vec<_> = namespace
        .pods
        .values()
        .filter(|pod| {
            in_force(&namespace.policies, &pod.labels).is_some_and(|it| it.name == policy.name)
        })
        .filter_map(|pod| {
            let account = ledger.account(&pod.uid)?;
            let (since, trigger) = account.leaving?;
            Some(Active {
                pod: pod.name.clone(),
                progress: progress(account, now),
                since: Time(whole_seconds(since)),
                trigger,
            })
        })
        .collect();
    leaving.sort_by(|a, b| (a.since.0, &a.pod).cmp(&(b.since.0, &b.pod)));
    leaving.truncate(RECORDS);
    DrainPolicyStatus {
        active: leaving,
        conditions: findings
            .map(|it| condition(it, &before.conditions, policy.generation, now.wall))
            .into(),
        in_force: Some(InForce {
            enabled: policy.settings.enabled,
            mode: MODE.to_owned(),
            timeout_seconds: i32::try_from(policy.settings.timeout_seconds).unwrap_or(i32::MAX),
        }),
        observed_generation: Some(policy.generation),
        recent: history.recent.clone(),
        targets: reach.targets,
        totals: history.totals.clone(),
    }
}

/// The status of a policy that selects nothing because of what it says.
pub fn invalid(
    policy: &InvalidPolicy,
    history: &History,
    before: &DrainPolicyStatus,
    now: Now,
) -> DrainPolicyStatus {
    let ready = condition(
        conditions::invalid(&policy.why),
        &before.conditions,
        policy.generation,
        now.wall,
    );
    DrainPolicyStatus {
        conditions: vec![ready],
        observed_generation: Some(policy.generation),
        recent: history.recent.clone(),
        totals: history.totals.clone(),
        ..DrainPolicyStatus::default()
    }
}

/// Whether two statuses differ in more than how far the drains have come.
pub fn differs_beyond_progress(before: &DrainPolicyStatus, now: &DrainPolicyStatus) -> bool {
    let without_progress = |status: &DrainPolicyStatus| {
        let mut status = status.clone();
        for active in &mut status.active {
            active.progress.clear();
        }
        status
    };
    without_progress(before) != without_progress(now)
}

fn progress(account: &Account, now: Now) -> String {
    match (&account.report, &account.contact) {
        (Some((report, heard)), _) => sentence::progress(report, now.instant - *heard),
        (None, Contact::Unreachable(_) | Contact::KeyLost) => {
            "Leaving: its sidecar cannot be told anything and drains by what it was made with"
                .to_owned()
        }
        (None, Contact::None | Contact::Reached { .. }) => {
            "Leaving: its sidecar has not said anything yet".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::PodView;
    use crate::cluster::pod::tests::{injected, leaving, pod};
    use crate::cluster::policy::tests::policy;
    use crate::report::ledger::{Before, PodName};
    use crate::report::sentence::tests::draining;
    use ebb_api::phase::{Outcome, Trigger};
    use std::time::Duration;

    fn now() -> Now {
        Now {
            wall: Timestamp::from_second(1000).unwrap(),
            instant: Instant::now(),
        }
    }

    fn namespace(pods: Vec<PodView>) -> NamespaceView {
        let mut namespace = NamespaceView {
            policies: vec![policy("web", 1), policy("younger", 2)],
            ..NamespaceView::default()
        };
        for pod in pods {
            namespace.pods.insert(pod.name.clone(), pod);
        }
        namespace
    }

    fn of(namespace: &NamespaceView, ledger: &Ledger, name: &str) -> DrainPolicyStatus {
        let policy = namespace.policy(name).unwrap();
        let before = DrainPolicyStatus::default();
        status(
            namespace,
            policy,
            ledger,
            &History::default(),
            &before,
            now(),
        )
    }

    /// Every pod counts once, for the policy that is in force for it; those that end do not.
    #[test]
    fn targets_are_counted_once_each() {
        let mut finished = injected("d");
        finished.finished = true;
        let mut starting = injected("c");
        starting.ready = false;
        let pods = vec![injected("a"), pod("b"), starting, finished, leaving("e")];
        let namespace = namespace(pods);
        let web = of(&namespace, &Ledger::default(), "web").targets;
        assert_eq!((web.selected, web.protected, web.unprotected), (3, 2, 1));
        assert_eq!((web.serving, web.leaving), (2, 1));
        let younger = of(&namespace, &Ledger::default(), "younger");
        assert_eq!(younger.targets.selected, 0);
        assert_eq!(younger.conditions[0].reason, "Overlapped");
    }

    /// Of many leaving pods the first five to go are shown, with how far they are.
    #[test]
    fn five_leaving_pods_are_shown_oldest_first() {
        let mut ledger = Ledger::default();
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        for (second, name) in names.iter().rev().enumerate() {
            let at = Timestamp::from_second(second as i64).unwrap();
            let settings = &policy("web", 1).settings;
            ledger.see(&leaving(name), settings, &Before::default(), at);
        }
        let mut report = draining();
        report.pod = "uid-of-g".to_owned();
        ledger.report("uid-of-g", report, Instant::now());
        let namespace = namespace(names.map(leaving).into());
        let active = of(&namespace, &ledger, "web").active;
        let shown: Vec<_> = active.iter().map(|active| active.pod.as_str()).collect();
        assert_eq!(shown, ["g", "f", "e", "d", "c"]);
        assert!(active[0].progress.starts_with("Draining for 12s"));
        assert!(active[1].progress.starts_with("Leaving"));
    }

    /// The newest five ends are kept, all of them are counted.
    #[test]
    fn the_past_is_counted_and_the_newest_of_it_shown() {
        let mut history = History::default();
        for number in 0..7 {
            let ending = Ending {
                pod: PodName {
                    namespace: "shop".to_owned(),
                    name: number.to_string(),
                    uid: number.to_string(),
                },
                policy: Some("web".to_owned()),
                outcome: Outcome::TimedOut,
                trigger: Trigger::Deleted,
                summary: String::new(),
                finished: 0,
                cut: 2,
                late: 1,
            };
            history.record(&ending, Timestamp::UNIX_EPOCH);
        }
        let shown: Vec<_> = history
            .recent
            .iter()
            .map(|recent| recent.pod.as_str())
            .collect();
        assert_eq!(shown, ["6", "5", "4", "3", "2"]);
        assert_eq!(
            (history.totals.timed_out, history.totals.connections_cut),
            (7, 14)
        );
        assert_eq!(history.totals.late_arrivals, 7);
    }

    /// What is written and read back is the same, or the status would be written for ever.
    #[test]
    fn a_status_survives_the_api_server() {
        let mut ledger = Ledger::default();
        let at = "2026-01-01T00:00:00.123456Z".parse().unwrap();
        let settings = &policy("web", 1).settings;
        ledger.see(&leaving("a"), settings, &Before::default(), at);
        let status = of(&namespace(vec![leaving("a")]), &ledger, "web");
        let json = serde_json::to_value(&status).unwrap();
        let read: DrainPolicyStatus = serde_json::from_value(json).unwrap();
        assert_eq!(read, status);
        assert_eq!(status.active[0].since.0.subsec_nanosecond(), 0);
    }

    /// That a drain goes on is told apart from what is news.
    #[test]
    fn progress_is_no_news() {
        let mut ledger = Ledger::default();
        let settings = &policy("web", 1).settings;
        let start = Timestamp::UNIX_EPOCH;
        ledger.see(&leaving("a"), settings, &Before::default(), start);
        ledger.report("uid-of-a", draining(), Instant::now());
        let namespace = namespace(vec![leaving("a")]);
        let policy = namespace.policy("web").unwrap();
        let at = |now| {
            let before = DrainPolicyStatus::default();
            status(
                &namespace,
                policy,
                &ledger,
                &History::default(),
                &before,
                now,
            )
        };
        let first = now();
        let later = Now {
            instant: first.instant + Duration::from_secs(5),
            ..first
        };
        let (first, later) = (at(first), at(later));
        assert_ne!(first, later);
        assert!(!differs_beyond_progress(&first, &later));
    }
}
