//! What begins as HTTP/2, and what only looks like it.

use super::*;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
    HTTP2-Settings: \r\n\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// Some servers say their SETTINGS before the client has said anything.
#[test]
fn the_app_may_greet_first() {
    let mut played = Played::new(false);
    played.app(&settings());
    for byte in PREFACE {
        played.client(&[*byte]);
    }
    played.client(&[settings(), request(1)].concat());
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Http2), Some(&1));
}

/// Nothing that a client begins is waited for when the app had closed before its preface.
#[test]
fn an_app_that_closes_before_the_preface() {
    let mut played = Played::new(true);
    played.app(&settings());
    played.act(&Act::AppEnds);
    played.client(&[PREFACE, &settings()[..], &request(1)].concat());
    assert_eq!(played.in_flight(), 0);
    let said = pong();
    played.pass(Duration::from_secs(1));
    played.client(&said[..3]);
    assert!(played.is_over() || played.to_app().ends_with(&said[..3]));
}

/// What begins like a preface and is none is what it was before.
#[test]
fn other_beginnings() {
    let mut played = Played::new(false);
    played.client(b"PR");
    played.client(b"OPFIND / HTTP/1.1\r\n\r\n");
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Http1), Some(&1));
    for cut in 1..PREFACE.len() {
        let mut played = Played::new(false);
        played.client(&PREFACE[..cut]);
        played.client(b"\0\r\n");
        let in_flight = played.census.snapshot(played.now).in_flight;
        assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1), "{cut}");
    }
}

/// An app that promises an answer before anybody has asked speaks no HTTP/2, and its idle
/// connection is not in flight.
#[test]
fn a_promise_before_any_request() {
    let mut played = Played::new(false);
    played.app(&[settings(), frame(5, 0x4, 1, &[0, 0, 0, 2])].concat());
    assert_eq!(played.in_flight(), 0);
    played.client(&[PREFACE, &settings()[..], &request(1)].concat());
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}

/// After `Upgrade: h2c` the request that asked for it is stream 1.
#[test]
fn an_upgrade_from_http1() {
    let mut played = Played::new(true);
    played.client(ASK);
    played.app(&[SWITCH, &settings(), &frame(1, 0x4, 1, b"head")].concat());
    for byte in [PREFACE, &settings()[..], &request(3)].concat() {
        played.client(&[byte]);
    }
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight.get(&Protocol::Http2), Some(&2));
    assert_eq!(snapshot.work, 2);
    played.forget();
    let rest = frame(0, 0x1, 1, b"body");
    played.app(&[rest.clone(), answer(3)].concat());
    assert_eq!(
        played.heard(),
        [rest, answer(3), warning().to_vec()].concat()
    );
    played.pass(2000 * MS);
    assert_eq!(played.heard(), ping(WARNED));
    played.client(&pong());
    played.pass(Duration::from_secs(1));
    assert_eq!(played.heard(), go_away(3));
}

/// What goes on as HTTP/1 after it is neither.
#[test]
fn an_upgrade_without_a_preface_is_opaque() {
    let mut played = Played::new(false);
    played.client(ASK);
    played.app(SWITCH);
    played.client(b"GET / HTTP/1.1\r\n\r\n");
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}
