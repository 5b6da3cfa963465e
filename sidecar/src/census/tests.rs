mod holders;

use super::*;

/// How long an opaque connection is waited for here.
const SILENCE: Duration = Duration::from_secs(15);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A request is in flight from its head to its end, and pipelined ones are counted one by one.
#[test]
fn requests_are_in_flight_until_they_end() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = census.connect_nobody();
    assert_eq!(census.snapshot(now).in_flight_in_all(), 0);
    connection.request_began(now, true);
    connection.request_began(now + seconds(1), true);
    let snapshot = census.snapshot(now + seconds(3));
    assert_eq!(snapshot.in_flight[&Protocol::Http1], 2);
    assert_eq!(snapshot.oldest, Some(seconds(3)));
    connection.request_ended(Some(now + seconds(1)));
    let snapshot = census.snapshot(now + seconds(3));
    assert_eq!(snapshot.in_flight[&Protocol::Http1], 1);
    assert_eq!(snapshot.oldest, Some(seconds(2)));
    connection.request_ended(None);
    let snapshot = census.snapshot(now + seconds(3));
    assert_eq!(snapshot.in_flight_in_all(), 0);
    assert_eq!(snapshot.finished, 2);
    assert_eq!(snapshot.connections[&Protocol::Http1], 1);
    drop(connection);
    assert_eq!(census.snapshot(now).connections_in_all(), 0);
}

/// A head that dribbles is waited for, but not for long.
#[test]
fn patience_with_a_dribbled_head_ends() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = census.connect_nobody();
    connection.head_began(now);
    let snapshot = census.snapshot(now + seconds(1));
    assert_eq!(snapshot.in_flight_in_all(), 1);
    assert_eq!(snapshot.settles_at, Some(now + HEAD_PATIENCE));
    assert_eq!(
        census.snapshot(now + HEAD_PATIENCE).in_flight_in_all(),
        0,
        "a head that took as long as that must not hold a drain"
    );
}

/// An opaque connection is in flight while the client spoke last, and for a while after the app
/// did; one on which only the app greeted never is.
#[test]
fn opaque_connections_are_in_flight_while_the_client_waits() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = census.connect_nobody();
    connection.app_spoke(now, None);
    assert_eq!(census.snapshot(now).in_flight_in_all(), 0);
    connection.client_spoke(now);
    let later = now + seconds(100);
    assert_eq!(census.snapshot(later).in_flight[&Protocol::Opaque], 1);
    connection.app_spoke(later, Some(later + SILENCE));
    let snapshot = census.snapshot(later + seconds(14));
    assert_eq!(snapshot.in_flight_in_all(), 1);
    assert_eq!(snapshot.settles_at, Some(later + SILENCE));
    assert_eq!(census.snapshot(later + SILENCE).in_flight_in_all(), 0);
    assert_eq!(census.snapshot(later).work, 1);
}

/// Health checkers are in flight but no traffic.
#[test]
fn health_checks_are_no_work() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = census.connect_nobody();
    connection.request_began(now, false);
    let snapshot = census.snapshot(now);
    assert_eq!(snapshot.in_flight_in_all(), 1);
    assert_eq!((snapshot.work, snapshot.last_work), (0, None));
    connection.health_check_ended(None);
    connection.request_began(now + seconds(1), true);
    let snapshot = census.snapshot(now + seconds(1));
    assert_eq!(snapshot.finished, 0);
    assert_eq!(
        (snapshot.work, snapshot.last_work),
        (1, Some(now + seconds(1)))
    );
}

/// A connection that was busy lately may come back within three of its own gaps, at most the time
/// that the policy names, and no longer once it was told to leave.
#[test]
fn a_connection_of_http_pauses_by_its_own_measure() {
    pauses_by_its_own_measure(|_| {});
    pauses_by_its_own_measure(Connection::turned_http2);
}

fn pauses_by_its_own_measure(turned: impl Fn(&Connection)) {
    let now = Instant::now();
    let census = Census::new(now);
    census.expect_back_within(seconds(5));
    let connection = census.connect_nobody();
    turned(&connection);
    let request = |at: Instant| {
        connection.request_began(at, true);
        connection.request_ended(None);
    };
    request(now);
    let pausing = |at: Instant| census.snapshot(at).pausing_until;
    assert_eq!(pausing(now), Some(now + seconds(5)));
    request(now + seconds(1));
    assert_eq!(pausing(now + seconds(2)), Some(now + seconds(4)));
    assert_eq!(pausing(now + seconds(4)), None);
    request(now + seconds(10));
    assert_eq!(pausing(now + seconds(10)), Some(now + seconds(15)));
    census.expect_back_within(seconds(20));
    assert_eq!(pausing(now + seconds(10)), Some(now + seconds(30)));
    census.expect_back_within(seconds(0));
    assert_eq!(pausing(now + seconds(10)), None);
    census.expect_back_within(seconds(5));
    connection.told();
    assert_eq!(pausing(now + seconds(10)), None);
}

/// What the deadline cuts is counted once, with its age, and is in flight no longer.
#[test]
fn the_cut_counts_what_was_in_flight() {
    let now = Instant::now();
    let census = Census::new(now);
    let (busy, opaque, idle) = (
        census.connect_nobody(),
        census.connect_nobody(),
        census.connect_nobody(),
    );
    busy.request_began(now, true);
    opaque.client_spoke(now + seconds(1));
    for connection in [&busy, &opaque, &idle] {
        connection.cut(now + seconds(5));
    }
    let snapshot = census.snapshot(now + seconds(5));
    assert_eq!(snapshot.in_flight_in_all(), 0);
    assert_eq!(snapshot.cut[&Protocol::Http1], 1);
    assert_eq!(snapshot.cut[&Protocol::Opaque], 1);
    assert_eq!(snapshot.oldest_cut, Some(seconds(5)));
    assert_eq!(snapshot.idle_closed, 1);
    assert_eq!(snapshot.finished, 0);
}

/// What was lost is counted once, by whose hand and in which protocol, is in flight no longer, and
/// does not finish as well.
#[test]
fn what_is_lost_does_not_finish() {
    let now = Instant::now();
    let census = Census::new(now);
    let (broken, given_up, opaque) = (
        census.connect_nobody(),
        census.connect_nobody(),
        census.connect_nobody(),
    );
    broken.request_began(now, true);
    broken.request_began(now, true);
    given_up.request_began(now, true);
    opaque.client_spoke(now);
    broken.broken_off(2);
    given_up.given_up(1);
    opaque.broken_off(1);
    opaque.opaque_finished();
    let snapshot = census.snapshot(now);
    let expected = [(Protocol::Http1, 2), (Protocol::Opaque, 1)];
    assert_eq!(snapshot.broken, expected.into());
    assert_eq!((snapshot.given_up, snapshot.finished), (1, 0));
    assert_eq!(snapshot.in_flight_in_all(), 0);
}

/// A waiting reader wakes when the last thing in flight ends, by a dropped handle too; a change
/// between two calls is not lost.
#[tokio::test]
async fn readers_wake_when_nothing_is_in_flight() {
    let now = Instant::now();
    let census = Census::new(now);
    let mut changes = census.changes();
    let connection = census.connect_nobody();
    connection.request_began(now, true);
    changes.changed().await;
    let (first, second) = (census.connect_nobody(), census.connect_nobody());
    first.request_began(now, true);
    let waiter = async {
        changes.changed().await;
        census.snapshot(now).in_flight_in_all()
    };
    let worker = async {
        tokio::task::yield_now().await;
        first.request_ended(None);
        tokio::task::yield_now().await;
        drop(connection);
        second
    };
    let (in_flight, second) = tokio::join!(waiter, worker);
    assert_eq!(in_flight, 0);
    second.client_spoke(now);
    changes.changed().await;
}

/// What is in flight began with its request, whatever its connection has carried before; where
/// messages can't be told apart, with the connection.
#[test]
fn the_beginning_of_what_is_in_flight_is_known() {
    let now = Instant::now();
    let census = Census::new(now);
    let connect = |way| {
        let peer = Peer {
            since: now,
            ..Peer::nobody()
        };
        census.connect(way, peer)
    };
    let later = now + seconds(5);
    let speaks = [Way::Relayed, Way::Observed].map(connect);
    let begun = || census.snapshot(later).begun;
    for (connection, begins) in speaks.iter().zip([now, later]) {
        assert!(begun().is_empty());
        connection.client_spoke(later);
        assert_eq!(begun(), [(Protocol::Opaque, begins)].into());
        connection.settled();
    }
    let asks = [1, 2, 3].map(|_| connect(Way::Relayed));
    for (connection, at) in asks.iter().zip([3, 1, 2]) {
        connection.request_began(now, true);
        connection.request_ended(None);
        connection.request_began(now + seconds(at), true);
    }
    assert_eq!(begun(), [(Protocol::Http1, now + seconds(1))].into());
    asks[1].request_ended(None);
    asks[1].request_began(now + seconds(4), true);
    assert_eq!(begun(), [(Protocol::Http1, now + seconds(2))].into());
}
