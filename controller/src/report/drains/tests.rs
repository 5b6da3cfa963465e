//! Drains that begin and end, each told once.

use super::*;
use ebb_model::fixtures::{injected, leaving, timed_out};
use ebb_model::plan::leave::leave;

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

/// What the plan says of a pod with a sidecar.
pub(in crate::report) fn facts(pod: &PodView, settings: Settings) -> DrainFacts {
    let sidecar = pod.sidecar.as_ref().unwrap();
    DrainFacts {
        settings,
        leave: leave(pod),
        state: sidecar.state,
        last: sidecar.last.clone(),
    }
}

fn see_after(drains: &mut DrainLog, pod: &PodView, before: &Before, now: Timestamp) -> Vec<Entry> {
    let facts = facts(pod, Settings::without_policy());
    drains.see(&PodName::of(pod), facts, before, now)
}

fn see(drains: &mut DrainLog, pod: &PodView) -> Vec<Entry> {
    see_after(drains, pod, &Before::default(), Timestamp::UNIX_EPOCH)
}

fn gone(drains: &mut DrainLog, pod: &PodView) -> Option<Ending> {
    drains.gone(&pod.uid, pod.sidecar.as_ref())
}

/// Kubelet writes the last words once, but events repeat them: MODIFIED, MODIFIED, DELETED.
#[test]
fn a_drain_is_counted_once() {
    let mut drains = DrainLog::default();
    assert!(see(&mut drains, &injected("a")).is_empty());
    assert!(matches!(
        see(&mut drains, &leaving("a"))[..],
        [Entry::Began(_)]
    ));
    assert!(see(&mut drains, &leaving("a")).is_empty());
    let ended = with_last_words(leaving("a"), "b1", Some(timed_out()));
    let entries = see(&mut drains, &ended);
    let [Entry::Ended(ending)] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!((ending.outcome, ending.counts.cut), (Outcome::TimedOut, 1));
    assert_eq!(ending.policy.as_deref(), Some("web"));
    assert!(see(&mut drains, &ended).is_empty());
    assert_eq!(gone(&mut drains, &ended), None);
}

/// No last words, and none on the stream either: somebody ended it.
#[test]
fn an_object_that_goes_without_last_words_was_killed() {
    let mut drains = DrainLog::default();
    see(&mut drains, &leaving("a"));
    assert_eq!(
        gone(&mut drains, &leaving("a")).unwrap().outcome,
        Outcome::Killed
    );
    assert_eq!(gone(&mut drains, &leaving("a")), None);
}

/// Last words that nobody can read are told from none.
#[test]
fn last_words_that_cannot_be_read_are_told() {
    let mut drains = DrainLog::default();
    let mut pod = leaving("a");
    see(&mut drains, &pod);
    pod.sidecar.as_mut().unwrap().garbled = Some("expected value at line 1".to_owned());
    let ending = gone(&mut drains, &pod).unwrap();
    assert_eq!(ending.outcome, Outcome::Killed);
    assert_eq!(
        ending.summary,
        "Nothing is known of its connections: its sidecar's last words can't be read (expected \
         value at line 1)"
    );
}

/// The last that its stream said stands in for lost last words.
#[test]
fn the_stream_stands_in_for_lost_last_words() {
    let mut drains = DrainLog::default();
    see(&mut drains, &leaving("a"));
    let mut report = ebb_model::fixtures::draining();
    report.phase = Phase::Ended;
    report.last = Some(timed_out());
    drains.report("uid-of-a", report, Instant::now());
    assert_eq!(
        gone(&mut drains, &leaving("a")).unwrap().outcome,
        Outcome::TimedOut
    );
}

/// A drain that ended before, as for a restart of the app, says nothing of one that was still going
/// on when the pod went.
#[test]
fn an_earlier_drain_does_not_stand_in_for_one_that_was_killed() {
    let mut drains = DrainLog::default();
    see(&mut drains, &leaving("a"));
    let mut report = ebb_model::fixtures::draining();
    report.last = Some(Drain {
        trigger: Trigger::ContainerRestart,
        outcome: Outcome::Drained,
        ..timed_out()
    });
    drains.report("uid-of-a", report, Instant::now());
    let ending = gone(&mut drains, &leaving("a")).unwrap();
    assert_eq!(
        (ending.outcome, ending.trigger),
        (Outcome::Killed, Trigger::Deleted)
    );
}

/// A pod that was deleted before its sidecar ran had nothing to drain.
#[test]
fn a_pod_that_never_ran_is_not_counted() {
    let mut drains = DrainLog::default();
    let mut pod = leaving("a");
    pod.sidecar.as_mut().unwrap().state = SidecarState::NotStarted;
    assert!(see(&mut drains, &pod).is_empty());
    assert_eq!(gone(&mut drains, &pod), None);
}

/// A sidecar that restarts in a serving pod ends no drain; its next start can.
#[test]
fn a_restart_while_serving_is_no_drain() {
    let mut drains = DrainLog::default();
    assert!(see(&mut drains, &with_last_words(injected("a"), "b1", None)).is_empty());
    see(&mut drains, &leaving("a"));
    let ended = with_last_words(leaving("a"), "b2", Some(timed_out()));
    assert!(matches!(see(&mut drains, &ended)[..], [Entry::Ended(_)]));
}

/// The last words of an earlier start stand in the status for as long as the pod lives. They
/// are not those of the drain that begins, whether they were heard here or by an earlier process.
#[test]
fn an_earlier_start_does_not_end_a_later_drain() {
    for seen_at_its_end in [true, false] {
        let mut drains = DrainLog::default();
        if seen_at_its_end {
            see(&mut drains, &injected("a"));
            see(&mut drains, &with_last_words(injected("a"), "b1", None));
        }
        let restarted = |mut pod: PodView| {
            pod.sidecar.as_mut().unwrap().state = SidecarState::Running;
            pod
        };
        for drain in [None, Some(timed_out())] {
            let serving = restarted(with_last_words(injected("a"), "b1", drain.clone()));
            assert_eq!(see(&mut drains, &serving), []);
        }
        let leaving = restarted(with_last_words(leaving("a"), "b1", None));
        let entries = see(&mut drains, &leaving);
        assert!(matches!(entries[..], [Entry::Began(_)]), "{entries:?}");
        let ended = with_last_words(leaving, "b2", Some(timed_out()));
        let entries = see(&mut drains, &ended);
        assert!(matches!(entries[..], [Entry::Ended(_)]), "{entries:?}");
    }
}

/// A finished Job's pod stands there for long; whoever starts then does not count it again.
#[test]
fn what_ended_before_this_process_is_not_counted() {
    let mut drains = DrainLog::default();
    let mut job = with_last_words(injected("a"), "b1", Some(timed_out()));
    job.finished = true;
    assert_eq!(see(&mut drains, &job), []);
    job.deletion = leaving("a").deletion;
    assert_eq!(see(&mut drains, &job), []);
    assert_eq!(gone(&mut drains, &job), None);
}

/// What an earlier process has written down is not told again.
#[test]
fn a_new_process_goes_on_where_the_last_one_ended() {
    let since = Timestamp::from_second(7).unwrap();
    let mut drains = DrainLog::default();
    let before = Before {
        since: Some(since),
        counted: false,
    };
    let now = Timestamp::from_second(9).unwrap();
    assert!(see_after(&mut drains, &leaving("a"), &before, now).is_empty());
    let pod = drains.pod("uid-of-a").unwrap();
    assert_eq!(pod.leaving, Some((since, Trigger::Deleted)));
    let counted = Before {
        since: None,
        counted: true,
    };
    let ended = with_last_words(leaving("b"), "b1", Some(timed_out()));
    assert!(see_after(&mut drains, &ended, &counted, now).is_empty());
    assert_eq!(gone(&mut drains, &ended), None);
}
