//! A pod whose clients can go nowhere else.

use super::*;
use ebb_api::connections::WebSockets;

/// A pod that leaves, of whose Service no other endpoint is ready, and whose endpoints are gone.
fn alone(mut bench: Bench) -> Bench {
    bench.pod_hooks();
    bench.services.alone_in = Some("web".to_owned());
    bench.endpoints = Endpoints::Gone;
    bench.delete(Some(GRACE));
    bench
}

/// The same, with a request in flight at the signal.
fn alone_and_busy(settings: Settings) -> Bench {
    let mut bench = Bench::new(settings);
    bench.begin();
    alone(bench)
}

impl Bench {
    /// A fresh request a second, each answered at once, beside what else is in flight.
    fn serve_for(&mut self, seconds_long: u32) {
        for _ in 0..seconds_long {
            self.run(seconds(1.0));
            self.snapshot.work += 1;
            self.snapshot.finished += 1;
            self.snapshot.last_work = Some(self.now);
            self.tell(Event::Tick);
        }
    }

    /// Something else is in flight since this moment.
    pub(super) fn holds(&mut self, protocol: Protocol, since: Instant) {
        self.snapshot.in_flight.insert(protocol, 1);
        self.snapshot.begun.insert(protocol, since);
        self.tell(Event::Tick);
    }

    fn accepts_as_ever(&self) -> bool {
        self.orders.ready && self.orders.stance == Stance::Serving
    }

    pub(super) fn draining(&mut self) -> f64 {
        self.until("draining", |bench| bench.orders.stance == Stance::Draining)
    }
}

/// As long as a request of before the signal goes on, fresh ones are served as ever, beyond the
/// greatest length of the lame-duck phase; when it ends the port closes, and the hooks are released
/// as soon as the kernel's queue is looked at.
#[test]
fn who_is_alone_accepts_as_long_as_it_waits() {
    let mut bench = alone_and_busy(settings(60));
    for _ in 0..50 {
        assert!(bench.accepts_as_ever(), "{:?}", bench.orders);
        bench.serve_for(1);
    }
    assert_eq!(bench.waiting.len(), 3);
    bench.finish();
    assert_eq!(bench.orders.stance, Stance::Draining);
    assert!(!bench.orders.ready);
    assert_eq!(bench.until_released(), 50.1);
    let drain = bench.last();
    assert_eq!((drain.outcome, drain.finished), (Outcome::Drained, 51));
    assert_eq!(drain.parts.last_request_ms, 50_000, "{:?}", drain.parts);
    assert_eq!(
        bench.story(),
        [
            "Signal",
            "EndpointsGone",
            "Alone",
            "Draining",
            "LastByte",
            "Ended"
        ]
    );
}

/// What it waits for is found to have ended although no event tells of it: others are in flight.
#[test]
fn the_end_of_the_last_old_request_is_found() {
    let mut bench = alone_and_busy(settings(60));
    bench.run(seconds(40.0));
    bench.snapshot.begun.insert(Protocol::Http1, bench.now);
    assert!(bench.draining() <= 40.25);
}

/// Only what was in flight at the signal holds it: a stream of new requests does not, for longer
/// than the greatest length of the lame-duck phase; without any it need not be as long.
#[test]
fn new_work_does_not_hold_who_is_alone() {
    let mut bench = alone(Bench::new(settings(60)));
    bench.serve_for(29);
    assert!(bench.accepts_as_ever());
    bench.begin();
    assert_eq!(bench.draining(), 30.0);

    let mut bench = alone(Bench::new(settings(60)));
    assert_eq!(bench.draining(), 2.0, "quiet");
    assert_eq!(bench.until_released(), 2.1);
}

/// The least length of the lame-duck phase is kept.
#[test]
fn the_least_time_is_kept_by_who_is_alone() {
    let mut bench = alone(Bench::with(settings(60), seconds(20.0)));
    assert_eq!(bench.draining(), 20.0);
}

/// What came meanwhile and goes on is refused others for no longer than the pod's own grace, which
/// is how long its app could do that without Ebb.
#[test]
fn who_is_alone_refuses_no_longer_than_without_ebb() {
    let mut bench = alone_and_busy(settings(90));
    bench.serve_for(10);
    let younger = bench.now;
    bench.finish();
    bench.holds(Protocol::Http2, younger);
    let closed = bench.draining();
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, closed + f64::from(SHUTDOWN));
}

/// Nobody tells a WebSocket to leave before the end, and then it ends by that: it is not waited
/// for, unless the policy wants it. What is opaque is in flight as often as its client speaks: its
/// connection counts.
#[test]
fn what_a_goodbye_ends_holds_nobody() {
    let waits = |web_sockets| Settings {
        connections: ConnectionSettings {
            web_sockets,
            ..ConnectionSettings::default()
        },
        ..settings(60)
    };
    for (protocol, web_sockets, is_older, holds) in [
        (Protocol::WebSocket, WebSockets::Goodbye, true, false),
        (Protocol::WebSocket, WebSockets::Wait, true, true),
        (Protocol::WebSocket, WebSockets::Wait, false, false),
        (Protocol::EventStream, WebSockets::Goodbye, true, true),
        (Protocol::Http2, WebSockets::Goodbye, true, true),
        (Protocol::Http2, WebSockets::Goodbye, false, false),
        (Protocol::Tls, WebSockets::Goodbye, true, true),
        (Protocol::Tls, WebSockets::Goodbye, false, false),
    ] {
        let mut bench = Bench::new(waits(web_sockets));
        if is_older {
            bench.holds(protocol, bench.start);
        }
        bench.run(seconds(1.0));
        let mut bench = alone(bench);
        if !is_older {
            bench.run(seconds(0.5));
            bench.holds(protocol, bench.now);
        }
        bench.run(seconds(20.0));
        assert_eq!(
            bench.accepts_as_ever(),
            holds,
            "{protocol:?} from before: {is_older}, {web_sockets:?}"
        );
    }
}

/// What holds it to the end is cut at the deadline, and a little before it the port closes, so that
/// no request which has only just come is cut with it.
#[test]
fn the_port_closes_before_the_deadline() {
    let mut bench = alone_and_busy(settings(60));
    bench.serve_for(57);
    assert!(bench.accepts_as_ever());
    assert_eq!(bench.draining(), 58.0);
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, 60.0);

    let mut bench = alone_and_busy(settings(1));
    assert_eq!(bench.draining(), 0.5, "half of a short drain");
}

/// When another endpoint is ready the ordinary drain begins: clients are told, and the lame-duck
/// phase has all of its time, however long the pod was alone.
#[test]
fn another_endpoint_makes_it_an_ordinary_drain() {
    let mut bench = alone_and_busy(settings(90));
    bench.serve_for(45);
    bench.alone_in(None);
    assert_eq!(bench.orders.stance, Stance::Parting);
    assert!(bench.orders.ready, "kube-proxy has only just heard of it");
    bench.serve_for(1);
    let unready = bench.until("readiness withdrawn", |bench| !bench.orders.ready);
    assert_eq!(unready, 48.0, "quiet for 2 s");
    bench.run(seconds(0.5));
    bench.endpoints(Endpoints::NotServing);
    assert_eq!(bench.draining(), 49.5);
    assert_eq!(
        bench.orders.deadline,
        Some(bench.start + seconds(64.0)),
        "the policy's timeout, as far as the grace holds it"
    );
    assert!(bench.story().contains(&"Relieved".to_owned()));

    // Never quiet: from there on.
    let mut bench = alone_and_busy(settings(90));
    bench.serve_for(20);
    bench.alone_in(None);
    bench.serve_for(29);
    assert_eq!(bench.orders.phase, Phase::Deregistering);
    assert_eq!(bench.draining(), 50.0);
}

/// A word that comes when readiness is withdrawn already is not too late: the pod is ready again,
/// and has the whole way before it when another endpoint comes.
#[test]
fn a_late_word_is_not_too_late() {
    let mut hasty = settings(60);
    hasty.deregistration.quiet_seconds = 0;
    let mut bench = Bench::new(hasty);
    bench.begin();
    bench.pod_hooks();
    assert!(!bench.orders.ready, "without a controller, and quiet");
    bench.run(seconds(1.5));
    let mut bench = alone(bench);
    bench.run(seconds(20.0));
    assert!(bench.accepts_as_ever());
    bench.alone_in(None);
    assert!(!bench.orders.ready);
    bench.run(seconds(2.9));
    assert_eq!(bench.orders.stance, Stance::Parting, "3 s for kube-proxy");
    assert_eq!(bench.draining(), 24.5);
}

/// It can become alone again.
#[test]
fn who_is_alone_again_goes_on_accepting() {
    let mut bench = alone_and_busy(settings(60));
    bench.run(seconds(5.0));
    bench.alone_in(None);
    bench.run(seconds(1.0));
    bench.alone_in(Some("web"));
    assert!(bench.accepts_as_ever());
    bench.run(seconds(30.0));
    assert!(bench.accepts_as_ever());
}

/// A drain whose port was closed while others were ready is not shortened when they go: what it
/// waits for is older than its signal.
#[test]
fn an_ordinary_drain_keeps_its_time() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.endpoints = Endpoints::NotServing;
    bench.delete(None);
    bench.draining();
    let deadline = bench.orders.deadline;
    bench.alone_in(Some("web"));
    assert_eq!(bench.orders.deadline, deadline);
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, 60.0);
}

/// While it refuses who can go nowhere else, it waits for no idle client and spreads no goodbyes.
#[test]
fn nobody_is_waited_for_while_others_are_refused() {
    let mut bench = alone(Bench::new(Settings {
        connections: ConnectionSettings {
            pace_seconds: 20,
            ..ConnectionSettings::default()
        },
        ..settings(60)
    }));
    bench.snapshot.pausing_until = Some(bench.now + seconds(30.0));
    bench.snapshot.untold = 3;
    assert_eq!(bench.until_released(), 2.1);
}
