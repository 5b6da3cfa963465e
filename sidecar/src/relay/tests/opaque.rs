//! Connections that nobody can read: what tells their silence from a wait.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn is_closed(played: &mut Played) -> bool {
    played.leave(true);
    played.pass(2 * SECOND);
    played.census.snapshot(played.now).in_flight_in_all() == 0 && played.has_ended()
}

/// A client that only sends is at rest when it has been silent for long enough, and that it was
/// closed then is told.
#[test]
fn one_way_is_at_rest_after_silence() {
    let mut played = Played::new(false);
    played.client(b"<14>a line\n");
    played.pass(10 * SECOND);
    played.client(b"<14>another, longer line\n");
    assert_eq!(played.in_flight(), 1);
    played.pass(14_999 * MS);
    assert_eq!(played.in_flight(), 1);
    played.pass(MS);
    assert_eq!(played.in_flight(), 0);
    let snapshot = played.census.snapshot(played.now);
    assert_eq!((snapshot.work, snapshot.one_way_closed), (1, 0));
    assert!(is_closed(&mut played));
    assert_eq!(played.census.snapshot(played.now).one_way_closed, 1);
}

/// Where an answer must come, or the app has spoken before, silence is a wait.
#[test]
fn a_wait_is_no_silence() {
    let gzip = "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n";
    let client = |text: &str| Act::Client(text.as_bytes().to_vec());
    let app = |text: &str| Act::App(text.as_bytes().to_vec());
    for talk in [
        vec![client(gzip)],
        vec![app("220 ready\r\n"), client("query")],
        vec![client("hello"), app("hello"), client("query")],
        vec![client(GET), app(OK), client("nonsense\r\n")],
        vec![client(GET), client("nonsense\r\n")],
    ] {
        let mut played = play(&talk, &[], false, MS);
        played.pass(600 * SECOND);
        assert_eq!(played.in_flight(), 1, "{talk:?}");
    }
}

/// What keeps a connection alive does not keep a pod: after the last answer nothing but pings, on
/// either side's initiative, is as good as silence.
#[test]
fn heartbeats_are_silence() {
    for first in [Act::Client, Act::App] {
        let second = match first(Vec::new()) {
            Act::Client(_) => Act::App,
            _ => Act::Client,
        };
        let mut played = Played::new(false);
        played.act(&Act::Client(CLIENT_HELLO.to_vec()));
        played.act(&Act::App(vec![22; 3000]));
        played.pass(5 * SECOND);
        played.act(&Act::Client(vec![23; 500]));
        played.act(&Act::App(vec![23; 900]));
        let beat = |played: &mut Played| {
            played.pass(10 * SECOND);
            played.act(&first(vec![23; 39]));
            played.act(&second(vec![23; 39]));
        };
        for _ in 0..3 {
            beat(&mut played);
            assert_eq!(played.in_flight(), 1, "nobody knows yet");
        }
        for _ in 0..2 {
            beat(&mut played);
        }
        assert_eq!(played.in_flight(), 0);
        played.act(&Act::Client(vec![23; 300]));
        assert_eq!(played.in_flight(), 1, "that is no ping");
        for _ in 0..9 {
            beat(&mut played);
        }
        assert_eq!(played.in_flight(), 1, "and waits for its answer");
        played.act(&Act::App(vec![23; 700]));
        for _ in 0..6 {
            beat(&mut played);
        }
        assert_eq!(played.in_flight(), 0);
        assert!(is_closed(&mut played));
    }
}
