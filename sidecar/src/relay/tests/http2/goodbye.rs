//! Every word of the goodbye, and when it is said.

use super::*;
use crate::track::http2::LAST_STREAM;

/// A connection at rest is asked whether its client reads, then to begin nothing more, and gets the
/// exact GOAWAY when no request can be under way any more.
#[test]
fn a_connection_at_rest_is_asked_first() {
    let mut played = Played::http2(false);
    played.client(&request(1));
    played.app(&answer(1));
    played.client(&request(3));
    played.app(&answer(3));
    played.forget();
    played.pass(Duration::from_secs(60));
    assert!(played.to_client().is_empty(), "nobody leaves");
    played.leave(true);
    assert_eq!(played.heard(), ping(AT_REST));
    played.pass(100 * MS);
    played.client(&frame(6, 0x1, 0, &AT_REST));
    played.pass(Duration::ZERO);
    assert_eq!(played.heard(), warning());
    played.client(&request(5));
    played.pass(2000 * MS);
    assert_eq!(played.heard(), ping(WARNED), "not in the same read");
    played.client(&pong());
    played.pass(100 * MS);
    played.app(&answer(5));
    assert_eq!(played.heard(), answer(5), "what crosses it is served");
    assert_eq!(played.to_app(), request(5), "and only that");
    played.pass(899 * MS);
    assert!(played.to_client().is_empty(), "a thread may be slow");
    played.pass(MS);
    assert_eq!(played.heard(), go_away(5));
    assert!(played.is_over());
}

/// A client that answers no PING while it is at rest reads nothing then: it would find any goodbye
/// when it has sent its next request. It gets it with the answer to that.
#[test]
fn who_reads_late_is_waited_for() {
    let mut played = Played::http2(false);
    played.client(&request(1));
    played.app(&answer(1));
    played.pass(Duration::from_secs(60));
    played.forget();
    played.leave(true);
    assert_eq!(played.heard(), ping(AT_REST));
    played.pass(Duration::from_secs(60));
    assert!(played.to_client().is_empty());
    let snapshot = played.census.snapshot(played.now);
    assert_eq!((snapshot.in_flight_in_all(), snapshot.untold), (0, 1));
    played.client(&[request(3), frame(6, 0x1, 0, &AT_REST)].concat());
    played.app(&answer(3));
    assert_eq!(played.heard(), [answer(3), warning().to_vec()].concat());
}

/// An answer to that PING while a stream is open comes from everybody, and proves nothing.
#[test]
fn an_answer_in_passing_proves_nothing() {
    let mut played = Played::http2(false);
    played.client(&request(1));
    played.app(&answer(1));
    played.pass(Duration::from_secs(60));
    played.leave(true);
    played.forget();
    played.client(
        &[
            request(3),
            frame(6, 0x1, 0, &AT_REST),
            frame(3, 0, 3, &[0; 4]),
        ]
        .concat(),
    );
    played.pass(1499 * MS);
    assert!(played.to_client().is_empty());
    played.pass(MS);
    assert_eq!(played.heard(), ping(AT_REST), "it is asked again");
    assert_eq!(
        played.to_app(),
        [request(3), frame(3, 0, 3, &[0; 4])].concat()
    );
}

/// The warning rides on the end of the last answer: in the same write, so that the client has
/// nothing open when it reads it, and what it begins then crosses nothing.
#[test]
fn the_goodbye_rides_on_the_last_answer() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3)].concat());
    played.pass(100 * MS);
    played.app(&answer(3));
    assert_eq!(played.heard(), answer(3), "another is open");
    let settings = frame(4, 0x1, 0, &[]);
    played.app(&[answer(1), settings.clone()].concat());
    let warned = [answer(1), settings, warning().to_vec()].concat();
    assert_eq!(played.heard(), warned);
    played.client(&request(5));
    played.pass(2000 * MS);
    assert_eq!(played.heard(), ping(WARNED));
    played.client(&pong());
    played.pass(1500 * MS);
    played.app(&answer(5));
    let last = [answer(5), go_away(5).to_vec()].concat();
    assert_eq!(played.heard(), last, "and so does the last word");
    assert!(played.is_over());
}

/// An answer to the warning that is lost holds nothing.
#[test]
fn a_lost_answer_holds_nothing() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    played.app(&answer(1));
    played.pass(2000 * MS);
    played.forget();
    played.pass(2999 * MS);
    assert!(played.to_client().is_empty(), "the answer may still come");
    played.pass(MS);
    assert_eq!(played.heard(), go_away(1));
    assert!(played.is_over());
}

/// A client that has one stream at a time is not warned in the middle of it, however long it takes:
/// the goodbye rides on its end.
#[test]
fn one_long_stream_is_not_disturbed() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    played.pass(Duration::from_secs(60));
    assert!(played.to_client().is_empty());
    assert_eq!(played.connection.exchange.wakes_at(played.now), None);
    played.app(&answer(1));
    assert_eq!(played.heard(), [answer(1), warning().to_vec()].concat());
}

/// What the app lets follow the end of an answer in the same read comes before the goodbye: a
/// client that fails at what is behind a GOAWAY has read all of it then.
#[test]
fn nothing_of_the_same_read_follows_the_goodbye() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    let reset = frame(3, 0, 1, &[0; 4]);
    played.app(&[answer(1), reset.clone()].concat());
    let heard = [answer(1), reset, warning().to_vec()].concat();
    assert_eq!(played.heard(), heard);
}

/// Nor what the app lets follow an answer in a read of its own, where it has that habit: the
/// goodbye then comes with the next answer behind which nothing can follow, or together with what
/// did, or, where there is neither, after 2 s.
#[test]
fn nothing_of_the_next_read_follows_the_goodbye() {
    let post = |stream| {
        [
            frame(1, 0x4, stream, b"head"),
            frame(0, 0x1, stream, b"body"),
        ]
        .concat()
    };
    let reset = |stream| frame(3, 0, stream, &[0; 4]);
    let habit = || {
        let mut played = Played::http2(false);
        played.client(&post(1));
        played.app(&answer(1));
        played.pass(MS);
        played.app(&reset(1));
        played.pass(100 * MS);
        played.leave(true);
        played.forget();
        played.client(&post(3));
        played.app(&answer(3));
        assert_eq!(played.heard(), answer(3), "a reset may follow");
        played.pass(MS);
        played.app(&reset(3));
        assert_eq!(played.heard(), reset(3), "the client has its answer by now");
        played.pass(100 * MS);
        played
    };
    let mut without_body = habit();
    without_body.client(&request(5));
    without_body.app(&answer(5));
    let heard = [answer(5), warning().to_vec()].concat();
    assert_eq!(without_body.heard(), heard);

    let mut at_once = habit();
    at_once.client(&post(5));
    at_once.app(&[answer(5), reset(5)].concat());
    let heard = [answer(5), reset(5), warning().to_vec()].concat();
    assert_eq!(at_once.heard(), heard);

    let mut always = habit();
    let mut heard = Vec::new();
    for stream in (5..).step_by(2).take(20) {
        always.client(&post(stream));
        always.app(&answer(stream));
        heard.extend(always.heard());
        always.pass(MS);
        always.app(&reset(stream));
        always.pass(99 * MS);
        let told = !heard.ends_with(&answer(stream));
        assert_eq!(told, stream == 43, "it waits for 2 s from {stream}");
    }
}

/// Nor one whose next request comes in while its answer ends, as far as we know.
#[test]
fn a_request_that_comes_in_is_not_disturbed() {
    let mut played = Played::http2(true);
    played.client(&[request(1), frame(1, 0x1, 3, b"he")].concat());
    played.app(&answer(1));
    assert_eq!(played.heard(), answer(1));
    played.client(&frame(9, 0x4, 3, b"ad"));
    played.app(&answer(3));
    assert_eq!(played.heard(), [answer(3), warning().to_vec()].concat());
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

/// A connection with several streams at a time that is never quiet is warned after a second, and
/// told exactly with the end of the last answer: if the client has answered, or had time for that.
#[test]
fn a_busy_connection_is_warned() {
    for answered in [true, false] {
        let mut played = Played::http2(true);
        played.client(&[request(1), request(3)].concat());
        played.pass(999 * MS);
        assert!(played.to_client().is_empty());
        played.pass(MS);
        assert_eq!(played.heard(), warning());
        played.pass(2000 * MS);
        assert_eq!(played.heard(), ping(WARNED));
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
        assert_eq!(played.heard(), [answer(5), go_away(5).to_vec()].concat());
        assert!(played.is_over());
    }
}

/// Only the answer to our own PING is kept from the app, and only one.
#[test]
fn other_answers_pass() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3)].concat());
    played.pass(3000 * MS);
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
        played.client(&[request(1), request(3)].concat());
        played.pass(3000 * MS);
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
    assert_eq!(
        played.heard(),
        [settings(), ping(AT_REST).to_vec()].concat()
    );
}

/// The app's own GOAWAY passes and stands: what it has not seen is not waited for, and no word of
/// ours goes after it. That the client has read it is asked all the same.
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
    let asked = [answer(1), answer(3), ping(AT_REST).to_vec()].concat();
    assert_eq!(played.heard(), asked);
    played.client(&frame(6, 0x1, 0, &AT_REST));
    played.pass(999 * MS);
    assert!(played.to_client().is_empty());
    played.pass(MS);
    assert_eq!(played.heard(), go_away(3));
}

/// One of the app's that names no last stream is a warning: ours would say it again.
#[test]
fn the_app_s_own_warning() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3)].concat());
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
