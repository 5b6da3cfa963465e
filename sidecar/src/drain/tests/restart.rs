//! Kubelet restarts a container, and drains that turn out to be nothing.

use super::*;

/// An app's hook alone for 1 s is a restart: released when the work is done, back in service when
/// the app answers.
#[test]
fn a_restart_waits_for_the_work_and_heals() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.hook("web");
    bench.run(seconds(0.9));
    assert_eq!(bench.orders.phase, Phase::Serving, "nothing is known yet");
    bench.run(seconds(0.2));
    assert_eq!(bench.orders.trigger, Some(Trigger::ContainerRestart));
    assert_eq!(
        (bench.orders.stance, bench.orders.ready),
        (Stance::Parting, false)
    );
    bench.run(seconds(0.5));
    bench.finish();
    assert!(bench.waiting.is_empty());
    assert_eq!(bench.orders.restarting, BTreeSet::from(["web".to_owned()]));
    assert!(bench.machine.ending().is_none(), "the pod stays");
    bench.tell(Event::AppAnswered);
    assert_eq!(
        (bench.orders.stance, bench.orders.ready),
        (Stance::Serving, true)
    );
    assert_eq!(bench.last().outcome, Outcome::Drained);
}

/// A hung app is not kept from its restart: where nothing moves for 2 s, the hook returns.
#[test]
fn a_hung_app_is_released_soon() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.hook("web");
    assert_eq!(bench.until_released(), 2.0);
    assert_eq!(bench.last().outcome, Outcome::TimedOut);
    assert_eq!(bench.last().cut_in_all(), 1);
}

/// An app that still works is held, but neither longer than 10 s nor into the probe's own grace.
#[test]
fn a_restart_is_held_within_bounds() {
    // Half of the probe's grace of 12 s is the app's, and a second is for the answer.
    for (container, most) in [("web", 5.0), ("log", 10.0)] {
        let mut bench = Bench::new(settings(60));
        bench.begin();
        bench.hook(container);
        for _ in 0..40 {
            bench.run(seconds(0.5));
            if bench.waiting.is_empty() {
                break;
            }
            bench.snapshot.finished += 1;
            bench.tell(Event::Tick);
        }
        let (at, _) = bench.passed.last().expect("it ended");
        assert_eq!(at.as_secs_f64(), most, "{container}");
    }
}

/// The pod may be deleted while a container restarts: the own hook, or the controller, says so.
#[test]
fn a_restart_becomes_a_deletion() {
    let upgrades: [fn(&mut Bench); 2] = [|bench| bench.hook("own"), |bench| bench.delete(None)];
    for upgrade in upgrades {
        let mut bench = Bench::new(settings(60));
        bench.begin();
        bench.hook("web");
        bench.run(seconds(1.5));
        upgrade(&mut bench);
        assert_eq!(bench.orders.trigger, Some(Trigger::Deleted));
        bench.run(seconds(30.0));
        assert!(!bench.waiting.is_empty(), "a request is in flight");
        bench.finish();
        bench.until_released();
        assert_eq!(bench.last().trigger, Trigger::Deleted);
    }
}

/// While the app restarts, the same and other containers may be restarted too.
#[test]
fn a_second_restart_is_held_anew() {
    let mut bench = Bench::new(settings(60));
    bench.hook("web");
    bench.until_released();
    bench.run(seconds(3.0));
    bench.begin();
    bench.hook("web");
    bench.run(seconds(1.5));
    assert_eq!(bench.waiting.len(), 1);
    bench.finish();
    assert!(bench.waiting.is_empty());
}

/// Where no port is known to try, time alone gives the pod back: soon, however long the app may
/// take to shut down.
#[test]
fn a_restart_heals_by_time_too() {
    let mut bench = Bench::new(Settings {
        shutdown_seconds: Some(600),
        ..settings(60)
    });
    bench.hook("web");
    bench.until_released();
    let back = bench.until("in service", |bench| bench.orders.ready);
    assert_eq!(back, 1.0 + 10.0);
    assert!(bench.orders.restarting.is_empty());
}

/// The sidecar's own hook alone promises no app anything.
#[test]
fn the_own_hook_alone_heals_after_the_shutdown_time() {
    let mut bench = Bench::new(settings(60));
    bench.hook("own");
    bench.until_released();
    let ended = bench.until("ended", |bench| bench.orders.phase == Phase::Ended);
    let back = bench.until("in service", |bench| bench.orders.ready);
    assert_eq!(back - ended, 40.0, "shutdown and 10 s");
}

/// Nobody but kubelet should call hooks, but whoever does cannot take a pod out for good; the next,
/// true drain works like the first.
#[test]
fn a_drain_that_nothing_follows_heals_and_works_again() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.until_released();
    let back = bench.until("in service", |bench| bench.orders.ready);
    assert_eq!(
        back, 105.0,
        "an app that was told to go may use all of the grace of 95 s"
    );
    assert_eq!(bench.orders.stance, Stance::Serving);
    assert_eq!(bench.last().outcome, Outcome::Cancelled);

    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(10.0));
    assert_eq!(bench.waiting.len(), 3);
    bench.finish();
    assert!(bench.waiting.is_empty());
    assert_eq!(bench.last().outcome, Outcome::Drained);
    bench.tell(Event::Sigterm);
    bench.run(seconds(3600.0));
    assert_eq!(
        bench.orders.phase,
        Phase::Ended,
        "SIGTERM came: nothing heals"
    );
}
