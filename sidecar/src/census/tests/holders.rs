//! Who is named, and what is said of them.

use super::*;
use ebb_api::report::{HOLDERS, Holder, WaitsFor};

fn peer(port: u16) -> Peer {
    Peer {
        client: ([192, 0, 2, 1], port).into(),
        port: 8080,
        socket: 0,
        since: Instant::now(),
    }
}

fn connect(census: &Arc<Census>, port: u16) -> Connection {
    census.connect(Way::Relayed, peer(port))
}

/// The one holder there is.
#[track_caller]
fn holder(census: &Census, now: Instant) -> Holder {
    let mut holders = census.snapshot(now).holders;
    assert_eq!(holders.len(), 1, "{holders:?}");
    holders.remove(0)
}

/// The five oldest of what is in flight, the oldest first, whatever order they came to stand in and
/// however many are younger or at rest.
#[test]
fn the_oldest_are_named() {
    let now = Instant::now();
    let census = Census::new(now);
    let ages = [4, 9, 1, 7, 3, 8, 2, 6, 5];
    let connections = ages.map(|age| {
        let connection = connect(&census, 100 + age);
        connection.request_began(now + seconds(10 - u64::from(age)), true);
        connection
    });
    let _idle = connect(&census, 99);
    let later = now + seconds(10);
    let told = |census: &Census| {
        let holders = census.snapshot(later).holders;
        let each = holders.iter();
        each.map(|holder| (holder.client.port(), holder.age_ms))
            .collect::<Vec<_>>()
    };
    let oldest = [9, 8, 7, 6, 5].map(|age: u16| (100 + age, u64::from(age) * 1000));
    assert_eq!(told(&census), oldest);
    assert_eq!(HOLDERS, oldest.len());
    connections[1].request_ended(None);
    let oldest = [8, 7, 6, 5, 4].map(|age: u16| (100 + age, u64::from(age) * 1000));
    assert_eq!(told(&census), oldest);
    drop(connections);
    assert!(told(&census).is_empty());
    let said = census.snapshot(later).report();
    assert_eq!((said.oldest_ms, said.holders), (None, Vec::new()));
}

/// A holder is one connection, with all of its requests and the age of the oldest.
#[test]
fn a_connection_is_named_once() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = connect(&census, 7);
    connection.turned_http2();
    connection.request_began(now, true);
    connection.request_began(now + seconds(2), true);
    let named = holder(&census, now + seconds(3));
    assert_eq!((named.client, named.port), (peer(7).client, 8080));
    assert_eq!(named.protocol, Protocol::Http2);
    assert_eq!((named.in_flight, named.age_ms), (2, 3000));
    connection.request_ended(Some(now + seconds(2)));
    let named = holder(&census, now + seconds(3));
    assert_eq!((named.in_flight, named.age_ms), (1, 1000));
}

/// Bytes are those since the connection was last at rest: of this request and not of a thousand
/// before it.
#[test]
fn bytes_are_counted_from_rest() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = connect(&census, 7);
    let passed = |now| {
        let holder = holder(&census, now);
        (holder.received, holder.sent)
    };
    connection.request_began(now, true);
    connection.received(100);
    connection.sent(1 << 40);
    assert_eq!(passed(now), (100, 1 << 40), "more than 32 bits hold");
    connection.request_ended(None);
    // The head comes in two pieces.
    connection.head_began(now + seconds(1));
    connection.received(3);
    connection.request_began(now + seconds(2), true);
    connection.received(4);
    assert_eq!(passed(now + seconds(2)), (7, 0));
    connection.sent(9);
    // A second one joins it.
    connection.request_began(now + seconds(3), true);
    connection.received(5);
    assert_eq!(passed(now + seconds(3)), (12, 9));
}

/// The same where it is no HTTP: an exchange of questions and answers is one until it is silent.
#[test]
fn bytes_of_an_opaque_connection_are_counted_from_silence() {
    let now = Instant::now();
    let census = Census::new(now);
    let connection = connect(&census, 7);
    let mut at = now;
    for expected in [(10, 20), (20, 40), (10, 20)] {
        connection.client_spoke(at);
        connection.received(10);
        connection.sent(20);
        connection.app_spoke(at, Some(at + SILENCE));
        let named = holder(&census, at);
        assert_eq!((named.received, named.sent), expected);
        // Within its patience, and then after it.
        at += if expected == (10, 20) {
            seconds(1)
        } else {
            SILENCE * 2
        };
    }
}

/// Whose turn it is, for every protocol and every moment at which it is in flight.
#[test]
fn a_holder_says_what_it_waits_for() {
    type Happens = fn(&Connection, Instant);
    let cases: [(&str, Happens, WaitsFor); 13] = [
        (
            "half a head",
            |line, now| line.head_began(now),
            WaitsFor::Request,
        ),
        (
            "a head of HTTP/2 that dribbles",
            |line, now| {
                line.turned_http2();
                line.head_began(now);
            },
            WaitsFor::Request,
        ),
        (
            "a request",
            |line, now| line.request_began(now, true),
            WaitsFor::App,
        ),
        (
            "half a request",
            |line, now| {
                line.request_began(now, true);
                line.is_unfinished(true);
            },
            WaitsFor::Request,
        ),
        (
            "half a request that the app does not take",
            |line, now| {
                line.request_began(now, true);
                line.is_unfinished(true);
                line.app_is_full(true);
            },
            WaitsFor::App,
        ),
        (
            "the same when it has taken it",
            |line, now| {
                line.request_began(now, true);
                line.is_unfinished(true);
                line.app_is_full(true);
                line.app_is_full(false);
            },
            WaitsFor::Request,
        ),
        (
            "an answer that its client does not take",
            |line, now| {
                line.request_began(now, true);
                line.buffered(true);
            },
            WaitsFor::Client,
        ),
        (
            "a stream of HTTP/2",
            |line, now| {
                line.turned_http2();
                line.request_began(now, true);
            },
            WaitsFor::App,
        ),
        (
            "an event stream",
            |line, now| {
                line.request_began(now, true);
                line.began_event_stream();
            },
            WaitsFor::End,
        ),
        (
            "a WebSocket",
            |line, now| {
                line.request_began(now, true);
                line.turned_websocket();
            },
            WaitsFor::End,
        ),
        (
            "an opaque question",
            |line, now| line.client_spoke(now),
            WaitsFor::App,
        ),
        (
            "its answer",
            |line, now| {
                line.turned_tls();
                line.client_spoke(now);
                line.app_spoke(now, Some(now + SILENCE));
            },
            WaitsFor::Silence,
        ),
        (
            "what goes one way",
            |line, now| line.client_spoke_alone(now, now + SILENCE),
            WaitsFor::Silence,
        ),
    ];
    for (what, happens, waits_for) in cases {
        let now = Instant::now();
        let census = Census::new(now);
        let connection = connect(&census, 7);
        happens(&connection, now);
        assert_eq!(holder(&census, now).waits_for, waits_for, "{what}");
    }
}
