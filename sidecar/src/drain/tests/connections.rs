//! What the policy says about connections, as far as the machine decides it.

use super::*;
use crate::stance::Pace;
use ebb_api::connections::AtTimeout;

fn paced(pace_seconds: u32) -> Settings {
    Settings {
        connections: ConnectionSettings {
            pace_seconds,
            ..ConnectionSettings::default()
        },
        ..settings(60)
    }
}

fn handing_over() -> Settings {
    Settings {
        connections: ConnectionSettings {
            at_timeout: AtTimeout::Handover,
            ..ConnectionSettings::default()
        },
        ..settings(10)
    }
}

/// Draining waits for an idle HTTP/1 client for as long as the policy says, and not at all where it
/// says so.
#[test]
fn the_policy_says_how_long_idle_clients_are_waited_for() {
    for (idle_seconds, released) in [(0, 4.1), (5, 9.0), (20, 24.0)] {
        let mut bench = Bench::new(settings(60));
        bench.settings.deregistration.idle_seconds = idle_seconds;
        bench.put();
        bench.snapshot.pausing_until = Some(bench.now + seconds(100.0));
        bench.pod_hooks();
        assert_eq!(bench.until_released(), released, "{idle_seconds} s");
    }
}

/// Goodbyes begin when they may be said, and the app stays until the last of them is.
#[test]
fn the_end_waits_for_goodbyes_that_are_spread() {
    let mut bench = Bench::new(paced(20));
    bench.snapshot.untold = 100;
    bench.pod_hooks();
    assert_eq!(bench.orders.pace, None, "nobody is told yet");
    bench.run(seconds(1.0));
    let pace = Pace {
        from: bench.now,
        length: seconds(20.0),
    };
    assert_eq!(
        (bench.orders.stance, bench.orders.pace),
        (Stance::Parting, Some(pace))
    );
    bench.run(seconds(10.0));
    assert_eq!(bench.orders.stance, Stance::Draining);
    assert_eq!(bench.orders.pace, Some(pace));
    assert_eq!(bench.until_released(), 21.0);
    assert_eq!(bench.last().outcome, Outcome::Drained);
    assert_eq!(bench.orders.pace, None, "who is left is told now");
}

/// When all have been told there is nothing to wait for; and where nothing is spread, nobody is
/// waited for.
#[test]
fn the_end_waits_for_nobody_who_was_told() {
    let mut bench = Bench::new(paced(20));
    bench.snapshot.untold = 1;
    bench.pod_hooks();
    bench.run(seconds(8.0));
    bench.snapshot.untold = 0;
    bench.tell(Event::Tick);
    assert!(bench.waiting.is_empty());

    let mut bench = Bench::new(paced(0));
    bench.snapshot.untold = 1;
    bench.pod_hooks();
    assert_eq!(bench.until_released(), 4.1);
}

/// The last goodbye is through at the deadline, also when that comes nearer; a longer time to
/// spread them over counts at once.
#[test]
fn the_pace_ends_before_the_deadline() {
    let mut bench = Bench::new(paced(3600));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(1.0));
    let length = |bench: &Bench| bench.orders.pace.map(|pace| pace.length);
    assert_eq!(length(&bench), Some(seconds(54.0)));
    bench.settings.timeout_seconds = 30;
    bench.delete(None);
    bench.endpoints(Endpoints::Gone);
    assert_eq!(length(&bench), Some(seconds(24.0)));
    bench.settings.connections.pace_seconds = 10;
    bench.put();
    assert_eq!(length(&bench), Some(seconds(10.0)));
    bench.settings.timeout_seconds = 6;
    bench.put();
    assert_eq!(length(&bench), None, "there is no time for more");
}

/// A container that restarts has no time to spread anything, and its pod stays.
#[test]
fn a_restart_is_not_paced() {
    let mut bench = Bench::new(paced(20));
    bench.begin();
    bench.snapshot.untold = 1;
    bench.hook("web");
    bench.run(seconds(1.5));
    assert_eq!(
        (bench.orders.stance, bench.orders.pace),
        (Stance::Parting, None)
    );
    bench.finish();
    assert!(bench.waiting.is_empty());
}

/// What is handed over holds the hooks up to the deadline and not beyond; it is not cut, unless it
/// still flows when the process ends.
#[test]
fn what_is_handed_over_is_cut_by_the_end_of_the_process_alone() {
    let mut bench = Bench::new(handing_over());
    bench.snapshot.in_flight.insert(Protocol::Opaque, 2);
    bench.snapshot.oldest = Some(seconds(700.0));
    bench.pod_hooks();
    assert_eq!(bench.until_released(), 10.0);
    assert_eq!(bench.orders.stance, Stance::Cut);
    let drain = bench.last().clone();
    assert_eq!((drain.outcome, drain.handed_over), (Outcome::TimedOut, 2));
    assert_eq!((drain.cut_in_all(), drain.oldest_cut_ms), (0, None));

    let last_words = |bench: &Bench| bench.machine.last_words(&bench.snapshot).expect("a drain");
    bench.run(seconds(5.0));
    bench.tell(Event::Sigterm);
    assert!(!bench.orders.exit, "bytes flow on");
    let killed_now = last_words(&bench);
    assert_eq!(killed_now.cut, BTreeMap::from([(Protocol::Opaque, 2)]));
    assert_eq!(killed_now.oldest_cut_ms, Some(700_000));

    // One of them ends; no event tells of it.
    bench.snapshot.in_flight.insert(Protocol::Opaque, 1);
    bench.snapshot.finished += 1;
    bench.run(seconds(1.0));
    assert_eq!(bench.last().finished, 1);
    assert_eq!(last_words(&bench).cut_in_all(), 1);
    bench.snapshot.in_flight.clear();
    bench.snapshot.finished += 1;
    bench.tell(Event::Tick);
    assert!(bench.orders.exit);
    let drain = last_words(&bench);
    assert_eq!((drain.cut_in_all(), drain.finished), (0, 2));
    assert_eq!(drain.oldest_cut_ms, None);
}

/// Requests beside what is handed over are cut as ever, and only they are.
#[test]
fn requests_are_not_handed_over() {
    let mut bench = Bench::new(handing_over());
    bench.begin();
    bench.snapshot.in_flight.insert(Protocol::Opaque, 1);
    bench.snapshot.oldest = Some(seconds(700.0));
    bench.pod_hooks();
    bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(bench.waiting.len(), 3, "the relay has not cut yet");
    bench.snapshot.in_flight.remove(&Protocol::Http1);
    bench.snapshot.cut.insert(Protocol::Http1, 1);
    bench.snapshot.oldest_cut = Some(seconds(10.0));
    bench.tell(Event::Tick);
    assert!(bench.waiting.is_empty());
    let drain = bench.last();
    assert_eq!(drain.cut, BTreeMap::from([(Protocol::Http1, 1)]));
    assert_eq!((drain.handed_over, drain.oldest_cut_ms), (1, Some(10_000)));
}
