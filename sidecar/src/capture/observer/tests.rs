//! What follows from what the kernel tells, on a clock that only the test moves.

use super::*;
use crate::census::Snapshot;
use std::net::SocketAddr;

const PATIENCE: Duration = Duration::from_secs(15);
const CLIENT: &str = "192.0.2.1:40000";
const KUBELET: &str = "192.0.2.254:40000";

struct Bench {
    census: Arc<Census>,
    observer: Observer,
    now: Instant,
}

impl Bench {
    fn new() -> Bench {
        let start = Instant::now();
        let census = Census::new(start);
        let others = BTreeSet::from([17440, 9100]);
        Bench {
            observer: Observer::new(census.clone(), Way::Observed, others),
            census,
            now: start + Duration::from_secs(3600),
        }
    }

    /// Looks, with an app that listens on 8080 and on two ports that are not to be counted.
    fn look(&mut self, connected: &[Socket]) -> Snapshot {
        self.look_at(BTreeSet::from([8080, 9100, 17440]), connected)
    }

    fn look_at(&mut self, listening: BTreeSet<u16>, connected: &[Socket]) -> Snapshot {
        let sockets = Sockets {
            listening,
            connected: connected.to_vec(),
        };
        let rules = Rules {
            patience: PATIENCE,
            kubelet: KUBELET.parse::<SocketAddr>().ok().map(|peer| peer.ip()),
        };
        self.observer.look(&sockets, rules, self.now);
        self.census.snapshot(self.now)
    }

    fn after(&mut self, milliseconds: u64) -> &mut Bench {
        self.now += Duration::from_millis(milliseconds);
        self
    }
}

fn milliseconds(ago: u64) -> Option<Duration> {
    Some(Duration::from_millis(ago))
}

/// A connection on which nobody has said anything.
fn silent(id: u64, remote: &str) -> Socket {
    Socket {
        id,
        owned: true,
        local: "198.51.100.2:8080".parse().unwrap(),
        remote: remote.parse().unwrap(),
        closed: false,
        unread: 0,
        unacknowledged: 0,
        received: 0,
        sent: 0,
        heard: 0,
        heard_ago: None,
        said_ago: None,
    }
}

/// A connection whose client spoke so many times, the last time so long ago.
fn heard(id: u64, times: u32, ago: u64) -> Socket {
    Socket {
        heard: times,
        heard_ago: milliseconds(ago),
        ..silent(id, CLIENT)
    }
}

fn said(socket: Socket, ago: u64) -> Socket {
    Socket {
        said_ago: milliseconds(ago),
        ..socket
    }
}

/// In flight are a client that waits for an answer, bytes that wait in a queue, and an app that
/// spoke last and not long ago; not one that never heard a client, nor one that is silent for long.
#[test]
fn who_waits_is_in_flight() {
    let unread = |socket| Socket {
        unread: 1,
        ..socket
    };
    let unacknowledged = |socket| Socket {
        unacknowledged: 1,
        ..socket
    };
    let closed = |socket| Socket {
        closed: true,
        ..socket
    };
    for (socket, in_flight) in [
        (silent(1, CLIENT), 0),
        (said(silent(1, CLIENT), 20), 0),
        (unacknowledged(said(silent(1, CLIENT), 20)), 1),
        (heard(1, 1, 60_000), 1),
        (said(heard(1, 1, 60_000), 60_001), 1),
        (said(heard(1, 1, 20_000), 14_000), 1),
        (said(heard(1, 1, 20_000), 20_000), 0),
        (said(heard(1, 1, 20_000), 16_000), 0),
        (unread(said(heard(1, 1, 20_000), 16_000)), 1),
        (closed(heard(1, 1, 20_000)), 0),
        (closed(said(heard(1, 1, 100), 50)), 0),
        (closed(unread(said(heard(1, 1, 100), 50))), 0),
        (closed(unacknowledged(said(heard(1, 1, 100), 50))), 1),
    ] {
        let snapshot = Bench::new().look(&[socket]);
        assert_eq!(snapshot.in_flight_in_all(), in_flight, "{socket:?}");
        assert_eq!(snapshot.connections_in_all(), 1);
        assert!(snapshot.relay_is_idle(), "the relay has no part in it");
    }
}

/// Counted are connections of clients to ports that the app listens on, or has listened on; not the
/// ports of others, not what the app has opened, and not what is between the pod's own processes.
#[test]
fn only_clients_of_the_app_are_counted() {
    let mut bench = Bench::new();
    let at = |port, remote: &str| Socket {
        local: SocketAddr::new("198.51.100.2".parse().unwrap(), port),
        ..silent(port.into(), remote)
    };
    let counted = at(8080, CLIENT);
    let sockets = [
        counted,
        at(9100, CLIENT),
        at(17440, CLIENT),
        at(40001, CLIENT),
        Socket {
            id: 1,
            ..at(8080, "198.51.100.2:40002")
        },
        Socket {
            id: 2,
            ..at(8080, "127.0.0.1:40003")
        },
    ];
    assert_eq!(bench.look(&sockets).connections_in_all(), 1);
    let snapshot = bench.after(100).look_at(BTreeSet::new(), &sockets);
    assert_eq!(snapshot.connections_in_all(), 1, "its listener has closed");
    assert_eq!(bench.after(100).look(&[]).connections_in_all(), 0);
}

/// A request is new when it came after the first look, on an old connection or a new one; the one
/// that is there at the first look is not. An answer ends it, and so does the end of the
/// connection: but how, nobody has seen.
#[test]
fn requests_begin_and_finish() {
    let mut bench = Bench::new();
    let snapshot = bench.look(&[heard(1, 1, 5000)]);
    assert_eq!((snapshot.work, snapshot.finished), (0, 0));
    assert_eq!(snapshot.oldest, milliseconds(5000));
    let snapshot = bench.after(100).look(&[heard(1, 1, 5100), heard(2, 1, 30)]);
    assert_eq!((snapshot.work, snapshot.finished), (1, 0));
    assert_eq!(snapshot.last_work, Some(bench.now));
    let snapshot = bench
        .after(100)
        .look(&[said(heard(1, 1, 5200), 50), heard(2, 1, 130)]);
    assert_eq!((snapshot.work, snapshot.finished), (1, 1));
    let next_on_1 = said(heard(1, 2, 90), 150);
    let snapshot = bench.after(100).look(&[next_on_1, heard(2, 1, 230)]);
    assert_eq!((snapshot.work, snapshot.finished), (2, 1));
    let answered_and_next = said(heard(1, 3, 10), 20);
    let snapshot = bench.after(100).look(&[answered_and_next]);
    assert_eq!((snapshot.work, snapshot.finished), (3, 2));
    assert_eq!(snapshot.unseen, 1);
    assert_eq!(snapshot.oldest, milliseconds(10));
}

/// When the app has been silent for as long as the policy says, nothing is in flight any more, and
/// the census says when that will be.
#[test]
fn silence_settles_it() {
    let mut bench = Bench::new();
    let snapshot = bench.look(&[said(heard(1, 1, 400), 300)]);
    assert_eq!(snapshot.in_flight_in_all(), 1);
    let settles_at = bench.now + PATIENCE - Duration::from_millis(300);
    assert_eq!(snapshot.settles_at, Some(settles_at));
    assert_eq!(bench.census.snapshot(settles_at).in_flight_in_all(), 0);
}

/// What was said on a connection, and when in milliseconds: by the client and by the app, in bytes.
struct Talk(Vec<(u64, u64, u64)>);

impl Talk {
    /// Exchanges of this size, that often, with this many milliseconds between them.
    fn and(mut self, times: u64, every: u64, (client, app): (u64, u64)) -> Talk {
        let last = self.0.last().map_or(0, |(at, ..)| *at);
        let exchanges = (1..=times).map(|number| (last + number * every, client, app));
        self.0.extend(exchanges);
        self
    }

    /// What the kernel tells at a moment. The app answers within 30 ms.
    fn at(&self, now: u64) -> Socket {
        let mut socket = silent(1, CLIENT);
        for (at, client, app) in &self.0 {
            if *at <= now && *client > 0 {
                socket.received += client;
                socket.heard += 1;
                socket.heard_ago = milliseconds(now - at);
            }
            if *at + 30 <= now && *app > 0 {
                socket.sent += app;
                socket.said_ago = milliseconds(now - at - 30);
            }
        }
        socket
    }

    /// Looks ten times a second while the pod leaves, from this moment on: when the connection
    /// turned busy or idle.
    fn turns(&self, from: u64) -> Vec<(u64, bool)> {
        let mut bench = Bench::new();
        let mut turns: Vec<(u64, bool)> = Vec::new();
        let end = self.0.last().map_or(0, |(at, ..)| *at) + 5000;
        for now in (from..end).step_by(100) {
            let snapshot = bench.after(100).look(&[self.at(now)]);
            let is_busy = snapshot.in_flight_in_all() > 0;
            if turns
                .last()
                .is_none_or(|(_, was_busy)| *was_busy != is_busy)
            {
                turns.push((now - from, is_busy));
            }
        }
        turns
    }
}

/// A connection that carries heartbeats alone holds no drain, though each comes before the silence
/// is long enough: from the fourth on it is idle. (TLS pings; MongoDB's `hello`; two sides that
/// beat by themselves.)
#[test]
fn heartbeats_are_silence() {
    let request = || Talk(vec![(1000, 500, 9000)]);
    let by_themselves = (0..20).fold(request(), |talk, _| {
        talk.and(1, 5000, (1, 0)).and(1, 5000, (0, 1))
    });
    for (what, talk) in [
        ("pings", request().and(20, 10_000, (39, 39))),
        ("hello", request().and(20, 10_000, (313, 1120))),
        ("by themselves", by_themselves),
    ] {
        let turns = talk.turns(31_050);
        let [(0, true), (idle, false)] = turns[..] else {
            panic!("{what}: {turns:?}");
        };
        assert!(idle <= 40_000, "{what}: idle after {idle} ms");
    }
}

/// What is no heartbeat holds it as ever: a request among them, a talk without pauses, an answer
/// that is awaited behind them, and one that waits for its client.
#[test]
fn work_among_heartbeats_is_work() {
    const PING: (u64, u64) = (39, 39);
    let begun = || Talk(vec![(1000, 500, 9000)]);
    let turns = begun()
        .and(6, 10_000, PING)
        .and(1, 5000, (500, 0))
        .turns(5000);
    let [.., (asked, true)] = turns[..] else {
        panic!("{turns:?}");
    };
    assert_eq!(asked, 61_000, "when the request came: {turns:?}");
    let turns = begun().and(100, 700, PING).turns(5000);
    assert_eq!(turns, [(0, true)], "a talk");
    let turns = Talk(vec![(1000, 500, 0)]).and(10, 10_000, PING).turns(5000);
    assert_eq!(turns, [(0, true)], "an answer is awaited");

    let talk = begun().and(8, 10_000, PING);
    let mut bench = Bench::new();
    let mut busy = |now, socket| bench.after(100).look(&[socket]).in_flight_in_all() == now;
    for now in (5000..75_000).step_by(100) {
        busy(0, talk.at(now));
    }
    assert!(busy(0, talk.at(75_000)), "known by now");
    let unacknowledged = Socket {
        unacknowledged: 100_000,
        ..talk.at(75_100)
    };
    assert!(busy(1, unacknowledged), "an answer waits for its client");
}

/// A connection of kubelet's that lasts less than a second is no work: it may be a probe.
#[test]
fn probes_are_no_work() {
    let mut bench = Bench::new();
    bench.look(&[]);
    let probe = |ago| Socket {
        remote: KUBELET.parse().unwrap(),
        ..heard(1, 1, ago)
    };
    let snapshot = bench.after(100).look(&[probe(10)]);
    assert_eq!((snapshot.work, snapshot.in_flight_in_all()), (0, 1));
    assert_eq!(bench.after(900).look(&[probe(910)]).work, 0);
    assert_eq!(bench.after(100).look(&[probe(1010)]).work, 1);
}
