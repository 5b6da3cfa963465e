//! Statuses of a namespace full of pods.

use super::*;
use crate::report::drains::Ending;
use crate::report::drains::tests::facts;
use crate::report::drains::{Before, PodName};
use ebb_api::phase::{Outcome, Trigger};
use ebb_api::status::Counts;
use ebb_model::fixtures::draining;
use ebb_model::fixtures::policy;
use ebb_model::fixtures::{injected, leaving, pod};
use ebb_model::views::{NamespaceView, PodView};
use std::time::Duration;

fn now() -> Now {
    Now {
        wall: Timestamp::from_second(1000).unwrap(),
        instant: Instant::now(),
    }
}

fn namespace(pods: Vec<PodView>) -> NamespaceView {
    let mut namespace = NamespaceView::default();
    for policy in [policy("web", 1), policy("younger", 2)] {
        namespace.set_policy(Ok(policy));
    }
    for pod in pods {
        namespace.set_pod(pod);
    }
    namespace
}

fn context(namespace: &NamespaceView) -> NamespaceContext<'_> {
    NamespaceContext {
        namespace,
        redirect: true,
    }
}

fn see(drains: &mut DrainLog, pod: &PodView, at: Timestamp) {
    let facts = facts(pod, policy("web", 1).settings);
    drains.see(&PodName::of(pod), facts, &Before::default(), at);
}

fn of(namespace: &NamespaceView, drains: &DrainLog, name: &str) -> DrainPolicyStatus {
    let policy = namespace.policy(name).unwrap();
    let before = DrainPolicyStatus::default();
    status(
        context(namespace),
        policy,
        drains,
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
    let web = of(&namespace, &DrainLog::default(), "web").targets;
    assert_eq!((web.selected, web.protected, web.unprotected), (3, 2, 1));
    assert_eq!((web.serving, web.leaving), (2, 1));
    let younger = of(&namespace, &DrainLog::default(), "younger");
    assert_eq!(younger.targets.selected, 0);
    assert_eq!(younger.conditions[0].reason, "Overlapped");
}

/// The mode that is in force is the one that pods can have, not the one that was wished for.
#[test]
fn the_mode_in_force_is_what_is_so() {
    let mode = |namespace: &NamespaceView, redirect| {
        let context = NamespaceContext {
            namespace,
            redirect,
        };
        let (drains, history) = (DrainLog::default(), History::default());
        let before = DrainPolicyStatus::default();
        let policy = namespace.policy("web").unwrap();
        let status = status(context, policy, &drains, &history, &before, now());
        status.in_force.unwrap().mode
    };
    let mut namespace = namespace(vec![]);
    assert_eq!(mode(&namespace, true), "Transparent");
    assert_eq!(mode(&namespace, false), "Observe");
    namespace.labels.forbids_net_admin = true;
    assert_eq!(mode(&namespace, true), "Observe");
}

/// Of many leaving pods the first five to go are shown, with how far they are.
#[test]
fn five_leaving_pods_are_shown_oldest_first() {
    let mut drains = DrainLog::default();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    for (second, name) in names.iter().rev().enumerate() {
        let at = Timestamp::from_second(second as i64).unwrap();
        see(&mut drains, &leaving(name), at);
    }
    let mut report = draining();
    report.pod = "uid-of-g".to_owned();
    drains.report("uid-of-g", report, Instant::now());
    let namespace = namespace(names.map(leaving).into());
    let active = of(&namespace, &drains, "web").active;
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
            observed: false,
            counts: Counts {
                cut: 2,
                broken: 3,
                abandoned: 4,
                late: 1,
            },
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
    assert_eq!(history.totals.connections_broken, 21);
    assert_eq!(history.totals.connections_abandoned, 28);
    assert_eq!(history.totals.late_arrivals, 7);
}

/// What is written and read back is the same, or the status would be written for ever.
#[test]
fn a_status_survives_the_api_server() {
    let mut drains = DrainLog::default();
    let at = "2026-01-01T00:00:00.123456Z".parse().unwrap();
    see(&mut drains, &leaving("a"), at);
    let status = of(&namespace(vec![leaving("a")]), &drains, "web");
    let json = serde_json::to_value(&status).unwrap();
    let read: DrainPolicyStatus = serde_json::from_value(json).unwrap();
    assert_eq!(read, status);
    assert_eq!(status.active[0].since.0.subsec_nanosecond(), 0);
}

/// That a drain goes on is told apart from what is news.
#[test]
fn progress_is_no_news() {
    let mut drains = DrainLog::default();
    let start = Timestamp::UNIX_EPOCH;
    see(&mut drains, &leaving("a"), start);
    drains.report("uid-of-a", draining(), Instant::now());
    let namespace = namespace(vec![leaving("a")]);
    let policy = namespace.policy("web").unwrap();
    let at = |now| {
        let before = DrainPolicyStatus::default();
        status(
            context(&namespace),
            policy,
            &drains,
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

/// Whoever waits for an invalid policy is told that waiting is of no use; one that is in force, or
/// whose pods can't drain, is not stalled.
#[test]
fn only_an_invalid_policy_is_stalled() {
    let namespace = namespace(vec![pod("web-0")]);
    let valid = of(&namespace, &DrainLog::default(), "web");
    let policy = InvalidPolicy {
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        uid: "u1".to_owned(),
        generation: 2,
        why: "it is empty".to_owned(),
        status: DrainPolicyStatus::default(),
    };
    let before = DrainPolicyStatus::default();
    let invalid = invalid(&policy, &History::default(), &before, now());
    let holds = |status: &DrainPolicyStatus| -> Vec<(String, bool)> {
        let conditions = status.conditions.iter();
        conditions
            .map(|it| (it.type_.clone(), it.status == "True"))
            .collect()
    };
    let is = |kind: &str, holds| (kind.to_owned(), holds);
    assert_eq!(holds(&valid), [is("Ready", true), is("Protected", false)]);
    assert_eq!(holds(&invalid), [is("Ready", false), is("Stalled", true)]);
    assert_eq!(invalid.observed_generation, Some(2));
}
