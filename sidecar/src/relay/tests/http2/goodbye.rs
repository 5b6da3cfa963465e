//! Every word of the goodbye, and when it is said.

use super::*;
use crate::track::http2::LAST_STREAM;

/// A connection at rest gets the exact GOAWAY at once.
#[test]
fn a_connection_at_rest_gets_the_exact_goodbye() {
    let mut played = Played::http2(false);
    played.client(&request(1));
    played.app(&answer(1));
    played.client(&request(3));
    played.app(&answer(3));
    played.forget();
    played.pass(Duration::from_secs(60));
    assert!(played.to_client().is_empty(), "nobody leaves");
    played.set_leaving(true);
    played.pass(Duration::ZERO);
    assert_eq!(played.heard(), go_away(3));
    assert!(played.is_over());
}

/// One that was busy gets it when it has been quiet for 10 ms, and no sooner.
#[test]
fn the_exact_goodbye_waits_for_quiet() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    played.pass(100 * MS);
    played.app(&answer(1));
    assert_eq!(played.heard(), answer(1));
    played.pass(9 * MS);
    played.client(&request(3));
    played.pass(100 * MS);
    assert!(played.to_client().is_empty(), "the next came in time");
    played.app(&answer(3));
    assert_eq!(played.heard(), answer(3));
    assert_eq!(
        played.connection.exchange.wakes_at(played.now),
        Some(played.now + 10 * MS)
    );
    played.pass(10 * MS);
    assert_eq!(played.heard(), go_away(3));
    assert!(played.is_over());
}

/// A client that had several streams open at once is asked to begin nothing more, also at rest: its
/// next request may be on the way. It hears the last word when it has answered, or after 3 s.
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
            played.pass(2899 * MS);
            assert!(played.to_client().is_empty(), "the answer may still come");
            played.pass(MS);
        }
        assert_eq!(played.heard(), go_away(5));
        assert!(played.is_over());
    }
}

/// Nobody is told before the connection has carried a request.
#[test]
fn an_unused_connection_is_left_alone() {
    let mut played = Played::http2(true);
    played.pass(Duration::from_secs(60));
    assert!(played.to_client().is_empty());
    assert_eq!(played.connection.exchange.wakes_at(played.now), None);
    assert_eq!(
        played.connection.exchange.deadline(0),
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
        assert!(played.to_client().is_empty());
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
        assert_eq!(played.to_app(), request(5), "the app never sees the answer");
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
        assert!(played.is_over());
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
    assert_eq!(played.to_app(), expected);
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
        assert!(played.to_app().is_empty());
        if by_end {
            assert_eq!(played.connection.exchange.released(true), pong()[..12]);
        } else {
            played.app(&frame(6, 0, 1, &[0; 8]));
            assert_eq!(played.to_app(), &pong()[..12]);
        }
    }
}

/// Nothing is said inside of a frame or a header block.
#[test]
fn the_goodbye_waits_for_its_place() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3)].concat());
    let head = [frame(1, 0, 1, b"he"), frame(9, 0x4, 1, b"ad")].concat();
    for byte in &head[..head.len() - 1] {
        played.app(&[*byte]);
        played.pass(Duration::from_secs(2));
    }
    assert_eq!(played.to_client(), &head[..head.len() - 1]);
    assert_eq!(
        played.connection.exchange.wakes_at(played.now),
        None,
        "time alone changes nothing"
    );
    assert_eq!(played.connection.exchange.deadline(0), Deadline::Close);
    played.app(&[&head[head.len() - 1..], &answer(1)].concat());
    let expected = [head, warning().to_vec(), answer(1)].concat();
    assert_eq!(played.heard(), expected);
}

/// Nor before the app has said hello.
#[test]
fn the_goodbye_waits_for_the_app_s_hello() {
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
    assert!(played.to_client().is_empty());
    assert_eq!(played.connection.exchange.deadline(0), Deadline::Close);
    played.app(&settings());
    assert_eq!(played.heard(), [settings(), go_away(1).to_vec()].concat());
}

/// The app's own GOAWAY passes and stands: what it has not seen is not waited for, and no word of
/// ours goes after it.
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
    assert!(played.to_client().is_empty(), "it was warned");
    played.app(&[answer(1), answer(3)].concat());
    played.forget();
    played.pass(10 * MS);
    assert_eq!(played.heard(), go_away(3));
}

/// One of the app's that names no last stream is a warning: ours would say it again.
#[test]
fn the_app_s_own_warning() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    let graceful = go_away(LAST_STREAM);
    played.app(&graceful);
    played.pass(Duration::from_secs(5));
    assert_eq!(played.heard(), graceful);
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
    assert!(played.to_client().is_empty());
    assert_eq!(played.connection.exchange.wakes_at(played.now), None);
}
