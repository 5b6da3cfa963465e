//! Who holds a drain that ends too early.

use super::*;
use ebb_api::connections::AtTimeout;
use ebb_api::report::{Holder, WaitsFor};

fn holder(port: u16) -> Holder {
    Holder {
        client: ([192, 0, 2, 1], port).into(),
        port: 8080,
        protocol: Protocol::Http1,
        in_flight: 1,
        age_ms: 700,
        received: 310,
        sent: 0,
        waits_for: WaitsFor::App,
    }
}

/// Who was there at the deadline is named, though cutting them leaves nothing in flight; who was
/// only there before or after is not.
#[test]
fn who_was_cut_is_named() {
    let mut bench = Bench::new(settings(10));
    bench.begin();
    bench.snapshot.holders = vec![holder(1)];
    bench.pod_hooks();
    bench.run(seconds(9.9));
    bench.snapshot.holders = vec![holder(2), holder(3)];
    bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    bench.snapshot.holders = vec![holder(4)];
    bench.tell(Event::Tick);
    bench.snapshot.holders.clear();
    bench.finish();
    bench.until_released();
    assert_eq!(bench.last().outcome, Outcome::TimedOut);
    assert_eq!(bench.last().holders, [holder(2), holder(3)]);
}

/// So is who was there when the process was told to end: what becomes of them after that changes
/// the numbers and not their names.
#[test]
fn who_was_there_at_the_kill_is_named() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(1.0));
    bench.snapshot.holders = vec![holder(1)];
    bench.tell(Event::Sigterm);
    bench.snapshot.holders.clear();
    bench.finish();
    assert_eq!(bench.last().outcome, Outcome::Killed);
    assert_eq!(bench.last().cut_in_all(), 0);
    assert_eq!(bench.last().holders, [holder(1)]);
}

/// And who was handed over, or held a restart.
#[test]
fn who_was_left_to_the_app_is_named() {
    let mut bench = Bench::new(Settings {
        connections: ConnectionSettings {
            at_timeout: AtTimeout::Handover,
            ..ConnectionSettings::default()
        },
        ..settings(10)
    });
    bench.snapshot.in_flight.insert(Protocol::Opaque, 1);
    bench.snapshot.holders = vec![holder(1)];
    bench.pod_hooks();
    bench.until_released();
    assert_eq!(bench.last().handed_over, 1);
    assert_eq!(bench.last().holders, [holder(1)]);

    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.snapshot.holders = vec![holder(1)];
    bench.hook("web");
    bench.until_released();
    assert_eq!(bench.last().outcome, Outcome::TimedOut);
    assert_eq!(bench.last().holders, [holder(1)]);
}

/// A drain in which all finished was held by nobody in the end.
#[test]
fn nobody_held_a_drain_that_finished() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.snapshot.holders = vec![holder(1)];
    bench.pod_hooks();
    bench.run(seconds(20.0));
    bench.snapshot.holders.clear();
    bench.finish();
    assert_eq!(bench.last().outcome, Outcome::Drained);
    assert!(bench.last().holders.is_empty());
}
