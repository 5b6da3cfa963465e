//! HTTP/2: what is in flight, and every word of the goodbye.

use super::*;
use crate::goodbye::http2::{PING, go_away, warning};
use crate::track::http2::{LAST_STREAM, PREFACE};

mod deadline;
mod probe;
pub(super) mod random;

/// A frame of this type, flags and stream.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// A whole request on a stream.
fn request(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, b"head")
}

/// A whole answer on a stream.
fn answer(stream: u32) -> Vec<u8> {
    [
        frame(1, 0x4, stream, b"head"),
        frame(0, 0x1, stream, b"body"),
    ]
    .concat()
}

/// What our PING is answered with.
fn pong() -> Vec<u8> {
    frame(6, 0x1, 0, &PING)
}

impl Played {
    /// A connection of HTTP/2 on which both sides have said hello.
    fn http2(leaving: bool) -> Played {
        let mut played = Played::new(leaving);
        played.client(PREFACE);
        played.client(&settings());
        played.app(&settings());
        played.forget();
        played
    }
}

/// A stream is in flight from its header block to the app's END_STREAM, or until one side gives it
/// up; each is new work.
#[test]
fn streams_are_in_flight() {
    let mut played = Played::http2(false);
    assert_eq!(played.in_flight(), 0);
    played.client(&[request(1), request(3), frame(1, 0x4, 5, b"h")].concat());
    assert_eq!(played.in_flight(), 3);
    played.app(&answer(3));
    assert_eq!(played.in_flight(), 2);
    played.app(&frame(1, 0x4, 1, b"interim"));
    played.app(&answer(1)[..20]);
    assert_eq!(played.in_flight(), 2, "a part of an answer is none");
    played.client(&frame(3, 0, 5, &[0; 4]));
    assert_eq!(played.in_flight(), 1);
    played.app(&answer(1)[20..]);
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight_in_all(), 0);
    assert_eq!((snapshot.work, snapshot.finished), (3, 2));
    assert_eq!(snapshot.connections[&Protocol::Http2], 1);
}

/// What the app leaves open when it closes is dropped once, whatever the client says of it later,
/// and what the client begins after that is not in flight.
#[tokio::test]
async fn streams_end_once_when_the_app_closes() {
    let mut played = Played::http2(false);
    played.client(&[request(1), request(3)].concat());
    assert_eq!(played.in_flight(), 2);
    assert_eq!(played.exchange.app_closed(played.now), AppEnd::Pass);
    assert_eq!(played.in_flight(), 0);
    played.client(&[frame(3, 0, 1, &[0; 4]), request(5)].concat());
    played.client(&frame(3, 0, 5, &[0; 4]));
    assert_eq!(played.in_flight(), 0);
    let other = played.census.connect();
    let mut changes = played.census.changes();
    other.request_began(played.now, true);
    other.request_ended(None);
    let told = tokio::time::timeout(Duration::from_secs(10), changes.changed()).await;
    assert!(told.is_ok(), "the census goes on telling of ends");
}

/// A header block that nobody waits for any more does not hide that a goodbye is due later.
#[test]
fn a_moment_that_has_passed_hides_none_to_come() {
    let mut played = Played::http2(false);
    played.client(&[request(1), frame(1, 0x1, 3, b"dribbled")].concat());
    played.pass(HEAD_PATIENCE);
    played.set_leaving(true);
    let due = played.now + 1000 * MS;
    assert_eq!(played.exchange.wakes_at(played.now), Some(due));
}

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
    assert!(played.over || played.to_app.ends_with(&said[..3]));
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

/// An app that promises an answer before anybody has asked speaks no HTTP/2, and its idle connection
/// is not in flight.
#[test]
fn a_promise_before_any_request() {
    let mut played = Played::new(false);
    played.app(&[settings(), frame(5, 0x4, 1, &[0, 0, 0, 2])].concat());
    assert_eq!(played.in_flight(), 0);
    played.client(&[PREFACE, &settings()[..], &request(1)].concat());
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}

/// A connection at rest gets the exact GOAWAY at once, one that was busy when it has been quiet for
/// 10 ms: and no sooner.
#[test]
fn the_exact_goodbye() {
    let mut played = Played::http2(false);
    played.client(&request(1));
    played.app(&answer(1));
    played.client(&request(3));
    played.app(&answer(3));
    played.forget();
    played.pass(Duration::from_secs(60));
    assert!(played.to_client.is_empty(), "nobody leaves");
    played.set_leaving(true);
    played.pass(Duration::ZERO);
    assert_eq!(played.heard(), go_away(3));
    assert!(played.over);

    let mut played = Played::http2(true);
    played.client(&request(1));
    played.pass(100 * MS);
    played.app(&answer(1));
    assert_eq!(played.heard(), answer(1));
    played.pass(9 * MS);
    played.client(&request(3));
    played.pass(100 * MS);
    assert!(played.to_client.is_empty(), "the next came in time");
    played.app(&answer(3));
    assert_eq!(played.heard(), answer(3));
    assert_eq!(
        played.exchange.wakes_at(played.now),
        Some(played.now + 10 * MS)
    );
    played.pass(10 * MS);
    assert_eq!(played.heard(), go_away(3));
    assert!(played.over);
}

/// A client that had several streams open at once is asked to begin nothing more, also at rest: its
/// next request may be on the way. It hears the last word when it has answered, or after a second.
#[test]
fn one_that_had_several_streams_is_asked_first() {
    for answered in [true, false] {
        let mut played = Played::http2(false);
        played.client(&[request(1), request(3)].concat());
        played.app(&[answer(1), answer(3)].concat());
        played.pass(Duration::from_secs(60));
        played.forget();
        played.set_leaving(true);
        played.pass(Duration::ZERO);
        assert_eq!(played.heard(), warning());
        played.client(&request(5));
        played.pass(100 * MS);
        played.app(&answer(5));
        assert_eq!(played.heard(), answer(5), "what crosses it is served");
        if answered {
            played.client(&pong());
            played.pass(Duration::ZERO);
        } else {
            played.pass(899 * MS);
            assert!(played.to_client.is_empty(), "the answer may still come");
            played.pass(MS);
        }
        assert_eq!(played.heard(), go_away(5));
        assert!(played.over);
    }
}

/// Nobody is told before the connection has carried a request.
#[test]
fn an_unused_connection_is_left_alone() {
    let mut played = Played::http2(true);
    played.pass(Duration::from_secs(60));
    assert!(played.to_client.is_empty());
    assert_eq!(played.exchange.wakes_at(played.now), None);
    assert_eq!(
        played.exchange.deadline(0),
        Deadline::Answer(go_away(0).to_vec().into())
    );
}

/// A connection that is never quiet is warned after a second, and told exactly when the last stream
/// is done: at once if the client has answered, 10 ms later if it had a second for that.
#[test]
fn a_busy_connection_is_warned() {
    for answered in [true, false] {
        let mut played = Played::http2(true);
        played.client(&[request(1), request(3)].concat());
        played.pass(999 * MS);
        assert!(played.to_client.is_empty());
        played.pass(MS);
        assert_eq!(played.heard(), warning());
        played.forget();
        if answered {
            for byte in [pong(), request(5)].concat() {
                played.client(&[byte]);
            }
        } else {
            played.client(&request(5));
        }
        assert_eq!(played.to_app, request(5), "the app never sees the answer");
        played.pass(10 * 1000 * MS);
        played.app(&[answer(1), answer(3)].concat());
        assert_eq!(played.heard(), [answer(1), answer(3)].concat());
        played.app(&[answer(5), frame(8, 0, 0, &[0, 0, 0, 1])].concat());
        if answered {
            assert_eq!(played.heard(), [answer(5), go_away(5).to_vec()].concat());
        } else {
            let rest = frame(8, 0, 0, &[0, 0, 0, 1]);
            assert_eq!(played.heard(), [answer(5), rest].concat());
            played.pass(10 * MS);
            assert_eq!(played.heard(), go_away(5));
        }
        assert!(played.over);
    }
}

/// Only the answer to our own PING is kept from the app, and only one.
#[test]
fn other_answers_pass() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    played.pass(Duration::from_secs(1));
    played.forget();
    let other = frame(6, 0x1, 0, b"the app's");
    let other = [&other[..2], &[8], &other[3..17]].concat();
    let said = [other.clone(), pong(), pong(), other, frame(0, 0, 1, b"x")].concat();
    for byte in &said {
        played.client(&[*byte]);
    }
    let expected = [&said[..17], &said[34..]].concat();
    assert_eq!(played.to_app, expected);
}

/// What looks like the answer and never becomes it reaches the app: when the client has said all,
/// or when nobody knows any more what this is.
#[test]
fn half_an_answer_is_released() {
    for by_end in [true, false] {
        let mut played = Played::http2(true);
        played.client(&request(1));
        played.pass(Duration::from_secs(1));
        played.forget();
        played.client(&pong()[..12]);
        assert!(played.to_app.is_empty());
        if by_end {
            assert_eq!(played.exchange.released(true), pong()[..12]);
        } else {
            played.app(&frame(6, 0, 1, &[0; 8]));
            assert_eq!(played.to_app, pong()[..12]);
        }
    }
}

/// Nothing is said inside of a frame or a header block, nor before the app has said hello.
#[test]
fn the_goodbye_waits_for_its_place() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3)].concat());
    let head = [frame(1, 0, 1, b"he"), frame(9, 0x4, 1, b"ad")].concat();
    for byte in &head[..head.len() - 1] {
        played.app(&[*byte]);
        played.pass(Duration::from_secs(2));
    }
    assert_eq!(played.to_client, head[..head.len() - 1]);
    assert_eq!(
        played.exchange.wakes_at(played.now),
        None,
        "time alone changes nothing"
    );
    assert_eq!(played.exchange.deadline(0), Deadline::Close);
    played.app(&[&head[head.len() - 1..], &answer(1)].concat());
    let expected = [head, warning().to_vec(), answer(1)].concat();
    assert_eq!(played.heard(), expected);

    let mut played = Played::new(true);
    played.client(
        &[
            PREFACE,
            &settings()[..],
            &request(1),
            &frame(3, 0, 1, &[0; 4]),
        ]
        .concat(),
    );
    played.pass(Duration::from_secs(2));
    assert!(played.to_client.is_empty());
    assert_eq!(played.exchange.deadline(0), Deadline::Close);
    played.app(&settings());
    assert_eq!(played.heard(), [settings(), go_away(1).to_vec()].concat());
}

/// The app's own GOAWAY passes and stands: what it has not seen is not waited for, and no word of
/// ours goes behind it.
#[test]
fn the_app_s_own_goodbye() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3), request(5)].concat());
    let own = frame(7, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]);
    played.app(&own);
    assert_eq!(played.heard(), own);
    assert_eq!(played.in_flight(), 2);
    played.client(&request(7));
    assert_eq!(played.in_flight(), 2);
    played.pass(Duration::from_secs(5));
    assert!(played.to_client.is_empty(), "it was warned");
    played.app(&[answer(1), answer(3)].concat());
    played.forget();
    played.pass(10 * MS);
    assert_eq!(played.heard(), go_away(3));

    let mut played = Played::http2(true);
    played.client(&request(1));
    let graceful = go_away(LAST_STREAM);
    played.app(&graceful);
    played.pass(Duration::from_secs(5));
    assert_eq!(played.heard(), graceful);
}

/// A header block that never ends holds a drain for 5 s, and the app has not seen that stream.
#[test]
fn a_dribbled_header_block() {
    let mut played = Played::http2(true);
    played.client(&[request(1), frame(1, 0x1, 3, b"he")].concat());
    played.app(&answer(1));
    played.forget();
    assert_eq!(played.in_flight(), 1);
    played.pass(4999 * MS);
    assert_eq!(played.heard(), warning());
    assert!(!played.exchange.is_idle(played.now));
    played.pass(MS);
    assert!(played.exchange.is_idle(played.now));
    assert_eq!(played.in_flight(), 0);
    assert_eq!(played.heard(), go_away(1));
}

/// More streams than can be followed make it an opaque connection: nothing is lost.
#[test]
fn too_many_streams_are_opaque() {
    let mut played = Played::http2(true);
    let most: Vec<u8> = (0..4096)
        .flat_map(|stream| request(2 * stream + 1))
        .collect();
    played.client(&most);
    assert_eq!(played.in_flight(), 4096);
    played.client(&request(8193));
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight, [(Protocol::Opaque, 1)].into());
    played.app(&answer(1));
    played.pass(Duration::from_secs(5));
    assert_eq!(played.heard(), answer(1));
    assert_eq!(played.to_app, [most, request(8193)].concat());
}

/// A drain that heals: what was not said yet is not said.
#[test]
fn a_drain_that_heals() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    played.pass(500 * MS);
    played.set_leaving(false);
    played.app(&answer(1));
    played.forget();
    played.pass(Duration::from_secs(60));
    assert!(played.to_client.is_empty());
    assert_eq!(played.exchange.wakes_at(played.now), None);
}

/// Behind `Upgrade: h2c` the request that asked for it is stream 1.
#[test]
fn an_upgrade_from_http1() {
    let ask = b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let mut played = Played::new(true);
    played.client(ask);
    played.app(&[&switch[..], &settings(), &frame(1, 0x4, 1, b"head")].concat());
    for byte in [PREFACE, &settings()[..], &request(3)].concat() {
        played.client(&[byte]);
    }
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight.get(&Protocol::Http2), Some(&2));
    assert_eq!(snapshot.work, 2);
    played.forget();
    let rest = frame(0, 0x1, 1, b"body");
    played.app(&[rest.clone(), answer(3)].concat());
    assert_eq!(played.heard(), [rest, answer(3)].concat());
    played.pass(10 * MS);
    assert_eq!(played.heard(), warning());
    played.client(&pong());
    played.pass(Duration::ZERO);
    assert_eq!(played.heard(), go_away(3));

    let mut played = Played::new(false);
    played.client(ask);
    played.app(switch);
    played.client(b"GET / HTTP/1.1\r\n\r\n");
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}
