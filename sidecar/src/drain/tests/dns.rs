//! A pod that clients find by DNS alone.

use super::*;

/// Such a pod leaves; its endpoints are gone after half a second, and answers count for 30 s.
fn found_by_dns(settings: Settings) -> Bench {
    let mut bench = Bench::new(settings);
    bench.begin();
    bench.finish();
    bench.pod_hooks();
    bench.services.dns_seconds = Some(30);
    bench.delete(Some(GRACE));
    bench.run(seconds(0.5));
    bench.endpoints(Endpoints::Gone);
    bench
}

impl Bench {
    fn parting(&mut self) -> f64 {
        self.until("goodbyes", |bench| bench.orders.stance == Stance::Parting)
    }

    fn unready(&mut self) -> f64 {
        self.until("readiness withdrawn", |bench| !bench.orders.ready)
    }
}

/// Nobody is refused or told to leave before the last answer that names the pod has expired,
/// however quiet it is; then the ordinary drain follows, quiet time and all, although the greatest
/// length of the lame-duck phase is over by then.
#[test]
fn who_is_found_by_dns_accepts_until_the_answers_have_expired() {
    let mut bench = found_by_dns(settings(60));
    assert_eq!(bench.parting(), 30.5);
    assert_eq!(bench.unready(), 32.5);
    assert_eq!(bench.draining(), 35.5);
    let parts = bench.machine.last().map(|drain| drain.parts.endpoints_ms);
    assert_eq!(parts, None, "the drain goes on");
    bench.until_released();
    let parts = bench.last().parts;
    assert_eq!(parts.endpoints_ms, 30_500, "{parts:?}");
}

/// A stream that never ends has the same steps, and an end.
#[test]
fn whoever_stays_after_that_is_refused_in_time() {
    let mut bench = found_by_dns(settings(60));
    for _ in 0..34 {
        bench.run(seconds(1.0));
        bench.begin();
        bench.finish();
    }
    assert_eq!(bench.now - bench.start, seconds(34.5));
    assert!(!bench.orders.ready);
    bench.begin();
    assert_eq!(bench.draining(), 36.5);
}

/// A short drain keeps time for what follows: ten seconds, or half of it.
#[test]
fn a_short_timeout_is_not_used_up() {
    for (timeout, told) in [(25, 15.0), (8, 4.0), (60, 30.5)] {
        let mut bench = found_by_dns(settings(timeout));
        assert_eq!(bench.parting(), told, "of {timeout} s");
    }
}

/// Where clients can go nowhere else, no answer is better than the one they have.
#[test]
fn who_is_alone_waits_for_no_dns() {
    let mut bench = Bench::new(settings(60));
    bench.pod_hooks();
    bench.services.dns_seconds = Some(30);
    bench.services.alone_in = Some("web".to_owned());
    bench.endpoints = Endpoints::Gone;
    bench.delete(None);
    assert_eq!(bench.draining(), 2.0);
}

/// When it is alone no more, the answers still have the rest of their time, and no more than that.
#[test]
fn another_endpoint_does_not_renew_an_answer() {
    for (alone_for, told) in [(10.0, 30.5), (40.0, 40.5)] {
        let mut bench = found_by_dns(settings(60));
        bench.holds(Protocol::Http2, bench.start);
        bench.alone_in(Some("web"));
        bench.run(seconds(alone_for));
        bench.alone_in(None);
        assert_eq!(bench.parting(), told, "alone for {alone_for} s");
    }
}

/// The least length of the lame-duck phase may be longer.
#[test]
fn the_longer_time_counts() {
    let mut bench = Bench::with(settings(60), seconds(40.0));
    bench.pod_hooks();
    bench.services.dns_seconds = Some(30);
    bench.endpoints = Endpoints::Gone;
    bench.delete(Some(GRACE));
    assert_eq!(bench.draining(), 40.0);
}
