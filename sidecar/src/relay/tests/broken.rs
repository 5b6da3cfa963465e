//! By whose hand what was in flight has ended: it finished, the app broke it off, or its client
//! gave it up. Whoever goes first has done it.

use super::http2::{answer, request, settings};
use super::websocket::{APP_CLOSE, ASK, ASKED, CLIENT_CLOSE, SWITCH};
use super::*;
use crate::track::http2::PREFACE;
use crate::track::http2::tests::frame;
use Happens::{App, AppEnds, AppResets, Client, ClientEnds, ClientResets};

/// What happens on a connection.
#[derive(Clone, Debug)]
enum Happens {
    Client(Vec<u8>),
    App(Vec<u8>),
    ClientEnds,
    ClientResets,
    AppEnds,
    AppResets,
}

/// What came of it: finished, broken off, given up.
type Counts = (u64, u64, u64);

/// Plays it in a pod that serves and in one that leaves, which must make no difference.
#[track_caller]
fn comes_to(happens: &[Happens], expected: Counts) -> Played {
    let [_, last] = [false, true].map(|leaving| {
        let mut played = Played::new(leaving);
        for happens in happens {
            match happens.clone() {
                Client(bytes) => played.act(&Act::Client(bytes)),
                App(bytes) => played.act(&Act::App(bytes)),
                ClientEnds => played.act(&Act::ClientEnds),
                ClientResets => played.client_resets(),
                AppEnds => played.act(&Act::AppEnds),
                AppResets => played.act(&Act::AppResets),
            }
        }
        let now = played.census.snapshot(played.now);
        let counts = (now.finished, now.broken.values().sum(), now.given_up);
        assert_eq!(counts, expected, "{leaving} {happens:?}");
        assert_eq!(now.in_flight_in_all(), 0, "{leaving} {happens:?}");
        played
    });
    last
}

fn client(text: &str) -> Happens {
    Client(text.as_bytes().to_vec())
}

fn app(text: &str) -> Happens {
    App(text.as_bytes().to_vec())
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.0 200 OK\r\n\r\nok";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n";

/// An answer of HTTP/1 is whole, or was broken off, however its end is told.
#[test]
fn an_answer_cut_short_is_broken_off() {
    let half = &OK[..OK.len() - 1];
    for end in [AppEnds, AppResets] {
        for answer in ["", &OK[..20], half, CHUNKED] {
            let talk = [client(GET), app(answer), end.clone()];
            comes_to(&talk, (0, 1, 0));
        }
        comes_to(&[client(GET), app(OK), end.clone()], (1, 0, 0));
        let whole = [CHUNKED, "0\r\n\r\n"].concat();
        comes_to(&[client(GET), app(&whole), end.clone()], (1, 0, 0));
        let two = [client(GET), client(GET), app(OK), end.clone()];
        comes_to(&two, (1, 1, 0));
        let played = comes_to(&[client(GET), app(EVENTS), end], (0, 1, 0));
        let broken = played.census.snapshot(played.now).broken;
        assert_eq!(broken, [(Protocol::EventStream, 1)].into());
    }
    let until_close = |end| [client(GET), app(UNTIL_CLOSE), end];
    comes_to(&until_close(AppEnds), (1, 0, 0));
    comes_to(&until_close(AppResets), (0, 1, 0));
}

/// Nothing is lost of what was no request yet, of a health check, and of what follows an answer
/// that the app calls its last.
#[test]
fn what_the_app_has_not_begun_is_not_broken_off() {
    let probe = "GET / HTTP/1.1\r\nUser-Agent: kube-probe/1.35\r\n\r\n";
    for end in [AppEnds, AppResets] {
        comes_to(std::slice::from_ref(&end), (0, 0, 0));
        comes_to(&[client(&GET[..9]), end.clone()], (0, 0, 0));
        comes_to(&[client(probe), end.clone()], (0, 0, 0));
        let two = [client(GET), client(GET), app(LAST), end];
        comes_to(&two, (1, 0, 0));
    }
}

/// A client that goes first has given up what it waited for, however the app takes that; one that
/// only says that it has said all still gets its answer.
#[test]
fn clients_give_up() {
    comes_to(&[client(GET), ClientResets], (0, 0, 1));
    comes_to(&[client(GET), app(OK), ClientResets], (1, 0, 0));
    comes_to(&[client(GET), app(CHUNKED), ClientResets], (0, 0, 1));
    for end in [AppEnds, AppResets] {
        comes_to(&[client(GET), ClientEnds, end.clone()], (0, 0, 1));
        let answered = [client(GET), ClientEnds, app(OK), end];
        comes_to(&answered, (1, 0, 0));
    }
}

/// Streams one by one. RST_STREAM is the app's own word about one of them, and what it has not
/// begun by its GOAWAY may be sent again: neither is broken off.
#[test]
fn streams_are_told_apart() {
    let hello = [
        Client([PREFACE.to_vec(), settings()].concat()),
        App(settings()),
        Client([request(1), request(3)].concat()),
    ];
    let then = |more: &[Happens]| [&hello[..], more].concat();
    let reset = |stream| frame(3, 0, stream, &2_u32.to_be_bytes());
    let go_away = frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    for end in [AppEnds, AppResets] {
        let end = || end.clone();
        comes_to(&then(&[end()]), (0, 2, 0));
        comes_to(&then(&[App(answer(1)), end()]), (1, 1, 0));
        comes_to(&then(&[App(reset(1)), App(answer(3)), end()]), (1, 0, 0));
        comes_to(&then(&[Client(reset(1)), App(answer(3)), end()]), (1, 0, 1));
        comes_to(&then(&[App(go_away.clone()), end()]), (0, 1, 0));
        comes_to(&then(&[ClientEnds, end()]), (0, 0, 2));
    }
    comes_to(&then(&[App(answer(3)), ClientResets]), (1, 0, 1));
}

/// A WebSocket ends well once either side has said Close.
#[test]
fn a_websocket_without_a_close_is_broken_off() {
    let hello = [
        Client(ASK.to_vec()),
        App(SWITCH.to_vec()),
        Client(ASKED.to_vec()),
    ];
    let then = |more: &[Happens]| [&hello[..], more].concat();
    for end in [AppEnds, AppResets] {
        let end = || end.clone();
        comes_to(&then(&[end()]), (0, 1, 0));
        comes_to(&then(&[ClientEnds, end()]), (0, 0, 1));
    }
    comes_to(&then(&[ClientResets]), (0, 0, 1));
    for close in [App(APP_CLOSE.to_vec()), Client(CLIENT_CLOSE.to_vec())] {
        let closed = then(&[close, AppEnds, ClientEnds]);
        comes_to(&closed, (1, 0, 0));
    }
}

/// Of what is opaque a client that waits is known, and a reset in the middle. A FIN after the app's
/// last word, or where the app never says one, is an end like any other.
#[test]
fn an_opaque_connection_is_broken_off_in_the_middle() {
    let hello = [app("220 ready\r\n"), client("question")];
    let then = |more: &[Happens]| [&hello[..], more].concat();
    let tls = [
        Client(CLIENT_HELLO.to_vec()),
        App(vec![22; 3000]),
        Client(vec![23; 500]),
    ];
    for end in [AppEnds, AppResets] {
        comes_to(&then(std::slice::from_ref(&end)), (0, 1, 0));
        let played = comes_to(&[&tls[..], &[end]].concat(), (0, 1, 0));
        let broken = played.census.snapshot(played.now).broken;
        assert_eq!(broken, [(Protocol::Tls, 1)].into());
    }
    comes_to(&then(&[app("answer"), AppEnds, ClientEnds]), (1, 0, 0));
    comes_to(&then(&[ClientEnds, AppEnds]), (1, 0, 0));
    comes_to(&[client("<14>a line\n"), AppEnds, ClientEnds], (1, 0, 0));
    comes_to(&then(&[app("answer"), AppResets]), (0, 1, 0));
    comes_to(&[client("<14>a line\n"), AppResets], (0, 1, 0));
    comes_to(&then(&[ClientResets]), (0, 0, 1));
    comes_to(&then(&[app("answer"), ClientResets]), (0, 0, 0));
}

/// What was at rest is not lost when the app goes.
#[test]
fn nothing_is_lost_at_rest() {
    let mut played = Played::new(false);
    played.app(b"220 ready\r\n");
    played.client(b"question");
    played.app(b"answer");
    played.pass(Duration::from_secs(15));
    played.act(&Act::AppResets);
    assert!(played.has_ended());
    let snapshot = played.census.snapshot(played.now);
    assert_eq!((snapshot.broken, snapshot.given_up), ([].into(), 0));
}

/// What the deadline has cut is cut, and nothing else, whoever closes afterwards; so is a request
/// that the relay has refused.
#[test]
fn what_was_cut_is_neither() {
    for (asked, answered, end) in [
        (GET.as_bytes(), "", Act::AppResets),
        (GET.as_bytes(), UNTIL_CLOSE, Act::ClientEnds),
        (CLIENT_HELLO, "", Act::AppEnds),
    ] {
        let mut played = Played::new(true);
        played.client(asked);
        played.app(answered.as_bytes());
        played.act(&Act::Cut);
        played.act(&end);
        played.client_resets();
        let snapshot = played.census.snapshot(played.now);
        assert_eq!(snapshot.cut.values().sum::<u64>(), 1);
        assert_eq!((snapshot.broken, snapshot.given_up), ([].into(), 0));
    }
    let mut played = Played::new(false);
    played.client(GET.as_bytes());
    played.app(OK.as_bytes());
    played.leave(true);
    played.act(&Act::AppEnds);
    played.act(&Act::AppStops);
    played.client(GET.as_bytes());
    assert!(played.is_over());
    played.client_resets();
    let snapshot = played.census.snapshot(played.now);
    assert_eq!((snapshot.finished, snapshot.refused), (1, 1));
    assert_eq!((snapshot.broken, snapshot.given_up), ([].into(), 0));
}
