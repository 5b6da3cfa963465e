//! What the time of a drain goes to. That the parts sum to the whole is checked after every step of
//! every test.

use super::*;
use ebb_api::report::Parts;

/// A request that is in flight through the whole drain: it takes its time only when nothing else
/// does any more.
#[test]
fn each_moment_has_its_part() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.delete(Some(GRACE));
    bench.run(seconds(3.0));
    bench.endpoints(Endpoints::Gone);
    bench.run(seconds(2.5));
    bench.endpoints(Endpoints::NotServing);
    let draining = bench.until("draining", |bench| bench.orders.stance == Stance::Draining);
    bench.run(seconds(10.0));
    bench.finish();
    let quiet_ms = (draining * 1000.0).round() as u64 - 3000;
    assert_eq!(
        bench.last().parts,
        Parts {
            endpoints_ms: 3000,
            quiet_ms,
            last_request_ms: 10_000,
            ..Parts::default()
        }
    );
}

/// The least time belongs to the endpoints, although nothing happens at its end that would tell:
/// work has come shortly before. Endpoints that take longer have their own time.
#[test]
fn the_least_time_is_for_the_endpoints() {
    for (gone_after, endpoints_ms) in [(1.0, 5000), (9.0, 9000)] {
        let mut bench = Bench::new(settings(60));
        bench.settings.deregistration.min_seconds = 5;
        bench.pod_hooks();
        bench.delete(None);
        bench.run(seconds(gone_after));
        bench.endpoints(Endpoints::Gone);
        bench.run(seconds(3.5));
        bench.begin();
        bench.finish();
        bench.until_released();
        assert_eq!(bench.last().parts.endpoints_ms, endpoints_ms);
    }
}

/// Without a controller nobody knows of endpoints: only the least time is for them.
#[test]
fn without_a_controller_it_is_quiet_that_takes_the_time() {
    for least in [0, 3] {
        let mut bench = Bench::new(settings(60));
        bench.settings.deregistration.min_seconds = least;
        bench.put();
        bench.pod_hooks();
        let took = (bench.until_released() * 1000.0).round() as u64;
        let endpoints_ms = u64::from(least) * 1000;
        let parts = Parts {
            endpoints_ms,
            quiet_ms: took - endpoints_ms,
            ..Parts::default()
        };
        assert_eq!(bench.last().parts, parts);
    }
}

/// Where the endpoints never go, all of the lame-duck phase is for them.
#[test]
fn endpoints_that_stay_take_the_time() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.delete(None);
    let draining = bench.until("draining", |bench| bench.orders.stance == Stance::Draining);
    bench.until_released();
    assert_eq!(bench.last().parts.endpoints_ms, (draining * 1000.0) as u64);
}

/// Idle clients are waited for until they come or their time is over, and what they then ask is a
/// request; then goodbyes that are spread are.
#[test]
fn idle_clients_and_goodbyes_have_their_parts() {
    let mut bench = Bench::new(Settings {
        connections: ConnectionSettings {
            pace_seconds: 20,
            ..ConnectionSettings::default()
        },
        ..settings(60)
    });
    bench.snapshot.untold = 1;
    bench.pod_hooks();
    let draining = bench.until("draining", |bench| bench.orders.stance == Stance::Draining);
    bench.snapshot.pausing_until = Some(bench.now + seconds(100.0));
    bench.tell(Event::Tick);
    bench.run(seconds(1.5));
    bench.begin();
    bench.run(seconds(2.0));
    bench.finish();
    let released = bench.until_released();
    assert_eq!(released, 21.0, "goodbyes began after 1 s");
    let ms = |seconds: f64| (seconds * 1000.0).round() as u64;
    assert_eq!(
        bench.last().parts,
        Parts {
            quiet_ms: ms(draining),
            // 5 s at most from the beginning of Draining, two of which are the request's.
            idle_clients_ms: 3000,
            last_request_ms: 2000,
            goodbyes_ms: ms(released - draining) - 5000,
            ..Parts::default()
        }
    );
}
