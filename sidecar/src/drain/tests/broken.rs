//! What the app breaks off, which no drain can save, and what is said of it.

use super::*;

fn in_all(bench: &Bench) -> (Outcome, u64, u64, u64) {
    let drain = bench.last();
    (
        drain.outcome,
        drain.finished,
        drain.broken_in_all(),
        drain.cut_in_all(),
    )
}

/// An app that ends by itself in the middle of a drain: the pod goes as soon as it is idle, and it
/// has not drained. The log says so once.
#[test]
fn a_drain_in_which_the_app_breaks_off_is_broken() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(10.0));
    bench.begin();
    bench.breaks();
    let report = bench.machine.leaving(&bench.snapshot, bench.now);
    assert!(report.is_none(), "it was all that the drain waited for");
    assert_eq!(bench.until_released(), 10.0);
    assert_eq!(in_all(&bench), (Outcome::Broken, 0, 2, 0));
    let story = bench.story();
    assert_eq!(story.iter().filter(|it| *it == "Broken").count(), 1);
    assert_eq!(bench.orders.stance, Stance::Draining, "as any that is idle");
}

/// What was broken off before the signal is not this drain's; while it goes on its number is told.
#[test]
fn only_what_was_broken_off_since_the_signal_counts() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.breaks();
    bench.begin();
    bench.pod_hooks();
    let broken = |bench: &Bench| {
        let report = bench.machine.leaving(&bench.snapshot, bench.now);
        report.expect("it leaves").broken
    };
    assert!(broken(&bench).is_empty());
    bench.run(seconds(1.0));
    bench.breaks();
    assert_eq!(broken(&bench), [(Protocol::Http1, 1)].into());
    bench.until_released();
    assert_eq!(in_all(&bench), (Outcome::Broken, 0, 1, 0));

    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.breaks();
    bench.pod_hooks();
    bench.until_released();
    assert_eq!(in_all(&bench), (Outcome::Drained, 0, 0, 0));
}

/// What the app's shutdown breaks off is a loss, too: a request that came after the hooks were
/// released, on a connection that was at rest.
#[test]
fn the_last_words_have_what_the_shutdown_broke_off() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.until_released();
    assert_eq!(bench.last().outcome, Outcome::Drained);
    bench.begin();
    bench.breaks();
    let drain = bench.machine.last_words(&bench.snapshot).unwrap();
    assert_eq!((drain.outcome, drain.broken_in_all()), (Outcome::Broken, 1));
    assert_eq!(bench.story().last().unwrap(), "Broken");
}

/// What was in flight when kubelet's time was over is cut by that, though it is the app that closes
/// then; what comes later is the app's.
#[test]
fn what_a_killed_app_leaves_is_cut() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(10.0));
    bench.tell(Event::Sigterm);
    assert_eq!(in_all(&bench), (Outcome::Killed, 0, 0, 2));
    bench.begin();
    bench.breaks();
    assert_eq!(in_all(&bench), (Outcome::Killed, 0, 1, 2));
    let oldest = bench.last().oldest_cut_ms;
    assert_eq!(oldest, None, "the bench gives no ages");
}

/// A policy that is disabled in the middle of a drain: what is in flight then is abandoned, unless
/// it finishes before the app ends. That the app is who breaks it off is not its doing.
#[test]
fn what_a_disabled_policy_leaves_is_abandoned() {
    let mut bench = Bench::new(settings(60));
    let abandoned = |bench: &Bench| {
        let drain = bench.last();
        assert_eq!(drain.outcome, Outcome::Skipped);
        (drain.abandoned_in_all(), drain.broken_in_all())
    };
    bench.begin();
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(10.0));
    bench.settings.enabled = false;
    bench.put();
    assert!(bench.waiting.is_empty(), "Ebb stands aside");
    assert_eq!(abandoned(&bench), (2, 0));
    *bench.snapshot.in_flight.get_mut(&Protocol::Http1).unwrap() = 1;
    bench.snapshot.finished += 1;
    bench.tell(Event::Tick);
    assert_eq!(abandoned(&bench), (1, 0));
    bench.breaks();
    bench.tell(Event::Sigterm);
    assert_eq!(abandoned(&bench), (1, 0));
    let last_words = bench.machine.last_words(&bench.snapshot).unwrap();
    assert_eq!(last_words.abandoned, [(Protocol::Http1, 1)].into());
}

/// Where the policy was disabled from the start no drain began, and what the app breaks off is as
/// without Ebb; so is what begins when it stands aside.
#[test]
fn what_never_was_in_a_drain_is_not_abandoned() {
    let disabled = Settings {
        enabled: false,
        ..settings(60)
    };
    let mut bench = Bench::new(disabled.clone());
    bench.begin();
    bench.pod_hooks();
    assert_eq!(bench.last().outcome, Outcome::Skipped);
    assert_eq!(bench.last().abandoned_in_all(), 0);

    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.run(seconds(1.0));
    bench.settings = disabled;
    bench.put();
    bench.begin();
    assert_eq!(bench.last().outcome, Outcome::Skipped);
    assert_eq!(bench.last().abandoned_in_all(), 0);
}

/// What clients give up is neither lost nor finished: the pod has drained.
#[test]
fn what_clients_give_up_is_told() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(10.0));
    bench.snapshot.in_flight.clear();
    bench.snapshot.given_up += 1;
    bench.tell(Event::Tick);
    bench.until_released();
    assert_eq!(in_all(&bench), (Outcome::Drained, 0, 0, 0));
    assert_eq!(bench.last().given_up, 1);
}
