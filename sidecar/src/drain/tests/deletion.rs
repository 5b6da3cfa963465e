//! A pod goes.

use super::*;

/// With a controller: endpoints gone, quiet, readiness, not serving, idle, in that order; goodbyes
/// when the endpoints are gone and not before; readiness is kept until then.
#[test]
fn a_deletion_goes_in_the_order_that_loses_nothing() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.delete(Some(GRACE));
    bench.run(seconds(3.0));
    assert_eq!(
        bench.orders.stance,
        Stance::Serving,
        "still in the endpoints"
    );
    assert!(bench.orders.ready);
    bench.endpoints(Endpoints::Gone);
    assert_eq!(bench.orders.stance, Stance::Parting);
    bench.run(seconds(1.9));
    assert!(bench.orders.ready, "not quiet for 2 s yet");
    bench.run(seconds(0.2));
    assert!(!bench.orders.ready);
    assert_eq!(bench.orders.phase, Phase::Deregistering);
    bench.endpoints(Endpoints::NotServing);
    bench.run(seconds(0.9));
    assert_eq!(
        bench.orders.stance,
        Stance::Parting,
        "kube-proxy has only just heard of it"
    );
    bench.run(seconds(0.1));
    assert_eq!(bench.orders.stance, Stance::Draining);
    bench.run(seconds(10.0));
    assert_eq!(bench.waiting.len(), 3, "a request is in flight");
    bench.finish();
    assert!(bench.waiting.is_empty(), "released with the last byte");
    assert_eq!(
        bench.story(),
        [
            "Signal",
            "EndpointsGone",
            "Unready",
            "Draining",
            "LastByte",
            "Ended"
        ]
    );
    let drain = bench.last().clone();
    assert_eq!(drain.outcome, Outcome::Drained);
    assert_eq!(drain.endpoints_gone_ms, Some(3000));
    assert_eq!((drain.finished, drain.late), (1, 0));
}

/// New work puts quiet off; a request that came after the endpoints were gone is counted as late.
#[test]
fn late_work_is_served_counted_and_waited_for() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.delete(None);
    bench.endpoints(Endpoints::Gone);
    bench.run(seconds(1.5));
    bench.begin();
    bench.finish();
    let unready = bench.until("readiness withdrawn", |bench| !bench.orders.ready);
    assert_eq!(unready, 3.5);
    let drained = bench.until_released();
    assert_eq!(
        drained, 6.6,
        "2 s for want of a word that nothing is served, and 1 s for kube-proxy"
    );
    assert_eq!(bench.last().late, 1);
}

/// What comes after the pod is said not to serve starts the quiet time anew, before the listener
/// closes.
#[test]
fn it_must_be_quiet_once_more_after_the_readiness_went() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.delete(None);
    bench.endpoints(Endpoints::Gone);
    bench.run(seconds(2.5));
    bench.endpoints(Endpoints::NotServing);
    bench.run(seconds(0.7));
    assert_eq!(bench.orders.stance, Stance::Parting);
    bench.begin();
    bench.finish();
    let drained = bench.until("draining", |bench| bench.orders.stance == Stance::Draining);
    assert_eq!(drained, 3.2 + 2.0);
}

/// What the relay finds in the kernel's queue when it closes the port is waited for, although
/// nothing seemed to be in flight at that moment.
#[test]
fn what_was_queued_is_waited_for() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.until("draining", |bench| bench.orders.stance == Stance::Draining);
    assert_eq!(bench.waiting.len(), 3, "the relay has not looked yet");
    bench.begin();
    bench.run(seconds(10.0));
    assert_eq!(bench.waiting.len(), 3, "a request is in flight");
    bench.finish();
    assert!(bench.waiting.is_empty());
}

/// Without a controller quiet decides, and clients are told after 1 s. Readiness is withdrawn after
/// 2 s, and as long again is left to the cluster to hear of it.
#[test]
fn without_a_controller_the_hooks_alone_drain() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    let told = bench.until("goodbyes", |bench| bench.orders.stance == Stance::Parting);
    assert_eq!(told, 1.0);
    assert_eq!(bench.until_released(), 4.1);
    assert_eq!(bench.last().outcome, Outcome::Drained);
}

/// Endless new work does not keep a pod for ever: the greatest length ends the lame-duck phase, and
/// readiness went in time before.
#[test]
fn the_lame_duck_phase_has_an_end() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.delete(None);
    for _ in 0..29 {
        bench.run(seconds(1.0));
        bench.begin();
        bench.finish();
    }
    assert!(!bench.orders.ready, "withdrawn 2 s before the end");
    bench.begin();
    let draining = bench.until("draining", |bench| bench.orders.phase == Phase::Draining);
    assert_eq!(draining, 30.0);
}

/// A pod that is in no Service and has no connection goes at once.
#[test]
fn a_pod_that_nobody_uses_is_released_at_once() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.endpoints = Endpoints::NotServing;
    bench.delete(None);
    assert!(bench.waiting.is_empty());
    assert_eq!(bench.last().took_ms, 0);

    let mut bench = Bench::new(settings(60));
    bench.snapshot.connections.insert(Protocol::Http1, 1);
    bench.pod_hooks();
    bench.endpoints = Endpoints::NotServing;
    bench.delete(None);
    assert_eq!(
        bench.waiting.len(),
        3,
        "somebody is connected, and has to be told"
    );
    assert_eq!(bench.until_released(), 2.1);
}

/// The deadline is the policy's timeout from the signal; what is left is cut, counted, and only
/// then are the hooks released.
#[test]
fn at_the_timeout_what_is_left_is_cut_and_counted() {
    let mut bench = Bench::new(settings(10));
    bench.begin();
    bench.snapshot.oldest = Some(seconds(14.0));
    bench.pod_hooks();
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, 10.0);
    assert_eq!(bench.waiting.len(), 3, "the relay has not cut yet");
    bench.snapshot.in_flight.clear();
    bench.snapshot.cut.insert(Protocol::Http1, 1);
    bench.snapshot.oldest = None;
    bench.tell(Event::Tick);
    assert!(bench.waiting.is_empty());
    let drain = bench.last();
    assert_eq!(drain.outcome, Outcome::TimedOut);
    assert_eq!(drain.cut, BTreeMap::from([(Protocol::Http1, 1)]));
    assert_eq!(drain.oldest_cut_ms, Some(14_000));
}

/// A relay that does not get to cutting must not keep the hooks.
#[test]
fn the_hooks_do_not_wait_for_the_cut() {
    let mut bench = Bench::new(settings(10));
    bench.begin();
    bench.pod_hooks();
    assert_eq!(bench.until_released(), 10.5);
    assert_eq!(bench.last().cut_in_all(), 1);
}

/// A grace that is too small ends the drain in time for the app's shutdown, of which half of the
/// grace is kept.
#[test]
fn a_short_grace_is_kept() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.delete(Some(5));
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, 1.5);
}

/// A second, shorter delete counts from when it is heard of.
#[test]
fn a_second_shorter_delete_is_honored() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.delete(Some(GRACE));
    bench.run(seconds(20.0));
    bench.delete(Some(8));
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, 23.0, "half of 8 s for the app, less a second");
}

/// Settings that change during the drain count at once, in both directions.
#[test]
fn a_new_timeout_counts_at_once() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.delete(None);
    bench.run(seconds(20.0));
    bench.settings.timeout_seconds = 30;
    bench.put();
    assert_eq!(bench.orders.deadline, Some(bench.start + seconds(30.0)));
    bench.settings.timeout_seconds = 5;
    bench.put();
    assert_eq!(
        bench.orders.stance,
        Stance::Cut,
        "it has been longer already"
    );
}

/// A disabled policy holds nothing and tells nobody; disabling one ends its drains.
#[test]
fn a_disabled_policy_stands_aside() {
    let disabled = Settings {
        enabled: false,
        ..settings(60)
    };
    let mut bench = Bench::new(disabled);
    bench.begin();
    bench.pod_hooks();
    assert!(bench.waiting.is_empty());
    assert_eq!(bench.last().outcome, Outcome::Skipped);
    assert_eq!(
        (bench.orders.stance, bench.orders.ready),
        (Stance::Serving, true)
    );

    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(1.5));
    bench.settings.enabled = false;
    bench.put();
    assert!(bench.waiting.is_empty());
    assert_eq!(bench.last().outcome, Outcome::Skipped);
    assert_eq!(bench.orders.stance, Stance::Serving);
}

/// `sleep 20` that the app brought along is slept, though nothing else would take that long.
#[test]
fn the_app_s_own_sleep_is_a_least_time() {
    let mut bench = Bench::with(settings(60), seconds(20.0));
    bench.pod_hooks();
    assert_eq!(bench.until_released(), 20.1);
    assert_eq!(bench.last().outcome, Outcome::Drained);
}

/// Draining waits for an idle client that may be back, but not for longer than 5 s.
#[test]
fn draining_waits_a_little_for_idle_clients() {
    for (back_after, released) in [(4.0, 4.1), (60.0, 9.0), (1.0, 4.1)] {
        let mut bench = Bench::new(settings(60));
        bench.snapshot.pausing_until = Some(bench.now + seconds(back_after));
        bench.pod_hooks();
        assert_eq!(
            bench.until_released(),
            released,
            "back after {back_after} s"
        );
    }
}

/// The pod's own hook alone is a pod without running app containers: it does not wait for quiet.
#[test]
fn the_own_hook_alone_returns_when_nothing_is_in_flight() {
    let mut bench = Bench::new(settings(60));
    bench.hook("own");
    assert_eq!(
        bench.until_released(),
        0.1,
        "the app's may be a moment late"
    );
    bench.tell(Event::Sigterm);
    assert_eq!(
        bench.machine.ending().map(|drain| drain.outcome),
        Some(Outcome::Drained)
    );

    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.hook("own");
    bench.run(seconds(1.0));
    bench.hook("web");
    bench.finish();
    assert_eq!(
        bench.waiting.len(),
        2,
        "the app's hook makes it an ordinary drain"
    );
    assert_eq!(bench.until_released(), 4.1);
}

/// Kubelet may call again after its own restart; the call joins.
#[test]
fn hooks_called_again_join_the_drain() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(12.0));
    bench.pod_hooks();
    assert_eq!(bench.orders.deadline, Some(bench.start + seconds(60.0)));
    bench.finish();
    assert!(bench.waiting.is_empty());
    bench.hook("web");
    assert!(
        bench.waiting.is_empty(),
        "after the end it is answered at once"
    );
}

/// SIGTERM in the middle of a drain: the grace is over. What is still in flight counts as cut as
/// long as it is; the record follows.
#[test]
fn sigterm_during_a_drain_is_killed() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(5.0));
    bench.tell(Event::Sigterm);
    assert_eq!(bench.orders.stance, Stance::Closing);
    assert!(!bench.orders.exit, "the request is still relayed");
    let killed = bench.machine.ending().expect("a drain").clone();
    assert_eq!((killed.outcome, killed.cut_in_all()), (Outcome::Killed, 1));
    bench.finish();
    let killed = bench.machine.ending().expect("a drain");
    assert_eq!((killed.cut_in_all(), killed.finished), (0, 1));
    assert!(bench.orders.exit);
}

/// A process that is told to end without any hook has no drain to tell of.
#[test]
fn sigterm_out_of_service_is_no_drain() {
    let mut bench = Bench::new(settings(60));
    bench.snapshot.connections.insert(Protocol::Http1, 1);
    bench.tell(Event::Sigterm);
    assert_eq!(bench.orders.stance, Stance::Closing);
    assert!(!bench.orders.exit && bench.machine.ending().is_none());
    bench.snapshot.connections.clear();
    bench.tell(Event::Tick);
    assert!(bench.orders.exit);
}
