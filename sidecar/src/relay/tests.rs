//! What conversations of every protocol make of a connection, played by
//! [`scenario`](super::scenario).

use super::exchange::{AppClosed, AppEnd, Deadline, Exchange};
use super::scenario::{Act, Played};
use crate::census::HEAD_PATIENCE;
use crate::stance::{Conduct, Stance};
use crate::track::Odd;
use ebb_api::connections::{ConnectionSettings, WebSockets};
use ebb_api::report::Protocol;
use proptest::prelude::*;
use std::time::{Duration, Instant};

mod broken;
mod conversations;
mod equivalence;
mod event_stream;
mod header;
mod holders;
mod http1;
mod http2;
mod opaque;
mod websocket;

use conversations::{in_pieces, said};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MS: Duration = Duration::from_millis(1);
/// The first record of a TLS connection, cut short: RFC 8446, sections 4.1.2 and 5.1.
const CLIENT_HELLO: &[u8] =
    b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03 thirty-two bytes that are random \x00\x00\x02\x13\x01\x01\x00";
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

impl Played {
    /// From now on goodbyes are said, or not any more.
    fn leave(&mut self, leaving: bool) {
        self.set_leaving(leaving);
        self.pass(Duration::ZERO);
    }

    /// One side says a turn cut in pieces, the clock going on by `pace` after each piece.
    fn say(&mut self, turn: &Act, cuts: &[usize], pace: Duration) {
        let (by_client, bytes) = said(turn);
        for piece in in_pieces(bytes, cuts) {
            match by_client {
                true => self.client(piece),
                false => self.app(piece),
            }
            self.pass(pace);
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    fn forget(&mut self) {
        self.connection.legs.app.heard.clear();
        self.connection.legs.client.heard.clear();
    }

    /// What the client has heard since it was asked last.
    fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.connection.legs.client.heard)
    }
}

/// Plays turns cut in pieces, the clock going on by `pace` after each turn.
fn play(turns: &[Act], cuts: &[usize], leaving: bool, pace: Duration) -> Played {
    let mut played = Played::new(leaving);
    for turn in turns {
        let (by_client, bytes) = said(turn);
        for piece in in_pieces(bytes, cuts) {
            match by_client {
                true => played.client(piece),
                false => played.app(piece),
            }
        }
        played.pass(pace);
    }
    played
}

proptest! {
    /// What is in flight and what is said does not depend on how the bytes were cut.
    #[test]
    fn no_split_changes_what_is_in_flight(
        turns in conversations::any_protocol(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        leaving in any::<bool>(),
        pace in 0..2000u32,
    ) {
        let whole = play(&turns, &[], leaving, pace * MS);
        let cut = play(&turns, &cuts, leaving, pace * MS);
        let census = |played: &Played| {
            let snapshot = played.census.snapshot(played.now);
            (snapshot.connections, snapshot.in_flight, snapshot.work, snapshot.finished)
        };
        prop_assert_eq!(census(&cut), census(&whole));
        prop_assert_eq!(cut.to_client(), whole.to_client());
        prop_assert_eq!(cut.to_app(), whole.to_app());
        prop_assert_eq!(cut.is_over(), whole.is_over());
    }
}

/// The head is kept until it is whole, and only the head.
#[test]
fn the_goodbye_waits_for_the_whole_head() {
    let mut played = Played::new(true);
    played.client(GET.as_bytes());
    let (head, body) = OK.as_bytes().split_at(OK.len() - 2);
    for byte in &head[..head.len() - 1] {
        played.app(&[*byte]);
        assert!(played.to_client().is_empty());
    }
    played.app(&head[head.len() - 1..]);
    assert_eq!(played.to_client(), &LAST.as_bytes()[..LAST.len() - 2]);
    assert_eq!(played.in_flight(), 1);
    played.app(&[body, b"more"].concat());
    assert_eq!(
        played.to_client(),
        LAST.as_bytes(),
        "nothing after the last answer"
    );
    assert!(played.is_over());
    assert_eq!(played.in_flight(), 0);
}

/// A head that turns out to be odd is given out whole, and requests go on.
#[test]
fn an_odd_head_is_released() {
    let mut played = Played::new(true);
    played.client(GET.as_bytes());
    played.app(b"HTTP/1.1 200 OK\r\n");
    played.client(GET.as_bytes());
    assert_eq!(played.to_app(), GET.as_bytes(), "the next request waits");
    played.app(b"bad\n");
    assert_eq!(played.to_client(), b"HTTP/1.1 200 OK\r\nbad\n");
    assert_eq!(played.to_app(), [GET, GET].concat().as_bytes());
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}

/// So is one that is held when the client turns out to be odd.
#[test]
fn a_held_head_is_released_when_the_client_is_odd() {
    let mut played = Played::new(true);
    played.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (begin, end) = OK.as_bytes().split_at(20);
    played.app(begin);
    assert!(played.to_client().is_empty());
    played.client(b"nonsense\r\n");
    played.pass(Duration::ZERO);
    assert_eq!(played.to_client(), begin);
    played.app(end);
    assert_eq!(played.to_client(), OK.as_bytes());
}

/// An answer that says itself that it is the last is left as it is.
#[test]
fn an_app_s_own_goodbye_is_left_alone() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ] {
        let mut played = Played::new(true);
        played.client(GET.as_bytes());
        played.app(head.as_bytes());
        played.client(GET.as_bytes());
        assert_eq!(played.to_client(), head.as_bytes());
        assert_eq!(
            played.to_app(),
            GET.as_bytes(),
            "no further request goes to the app"
        );
        assert!(!played.is_over(), "the app closes by itself");
    }
}

/// A head that dribbles after a long answer has its 5 s from its own first byte on.
#[test]
fn a_head_that_dribbles_behind_an_answer() {
    let mut played = Played::new(false);
    played.client(GET.as_bytes());
    played.pass(Duration::from_secs(60));
    played.client(&GET.as_bytes()[..5]);
    played.pass(4999 * MS);
    played.app(OK.as_bytes());
    assert_eq!(played.in_flight(), 1);
    played.pass(MS);
    assert_eq!(played.in_flight(), 0);
    assert!(played.connection.exchange.is_idle(played.now));
}

/// The deadline: only a request of which the app has not seen a byte may be sent again.
#[test]
fn the_deadline_tells_what_may_be_sent_again() {
    let mut played = Played::new(true);
    assert_eq!(played.connection.exchange.deadline(0), Deadline::Close);
    played.client(GET.as_bytes());
    let answer = |deadline| match deadline {
        Deadline::Answer(answer) => String::from_utf8_lossy(&answer[9..12]).into_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(
        answer(played.connection.exchange.deadline(GET.len())),
        "503"
    );
    assert_eq!(
        answer(played.connection.exchange.deadline(GET.len() - 1)),
        "504"
    );
    assert_eq!(answer(played.connection.exchange.deadline(0)), "504");
    played.app(&OK.as_bytes()[..30]);
    assert_eq!(
        answer(played.connection.exchange.deadline(0)),
        "504",
        "the head is held"
    );
    played.app(&OK.as_bytes()[30..OK.len() - 1]);
    assert_eq!(answer(played.connection.exchange.deadline(0)), "Close");
}

/// TLS is recognized by its client's first bytes, in any split, and handled as any opaque
/// connection is.
#[test]
fn tls_is_recognized_and_not_opened() {
    for split in 0..CLIENT_HELLO.len() {
        let mut played = Played::new(false);
        played.client(&CLIENT_HELLO[..split]);
        played.client(&CLIENT_HELLO[split..]);
        let snapshot = played.census.snapshot(played.now);
        assert_eq!(snapshot.in_flight[&Protocol::Tls], 1, "{split}");
        assert_eq!(snapshot.connections[&Protocol::Tls], 1);
        played.app(b"\x16\x03\x03\x00\x02??");
        played.pass(Duration::from_secs(15));
        assert_eq!(played.in_flight(), 0, "the app spoke last");
        played.set_leaving(true);
        assert!(played.connection.exchange.wants_half_close(played.now));
    }
}

/// Only the first bytes of a connection can be those of a ClientHello.
#[test]
fn tls_later_is_opaque() {
    let behind = |begin: &dyn Fn(&mut Played)| {
        let mut played = Played::new(false);
        begin(&mut played);
        played.client(CLIENT_HELLO);
        played.census.snapshot(played.now).connections
    };
    let opaque = [(Protocol::Opaque, 1)].into();
    assert_eq!(behind(&|played| played.app(b"220 ready\r\n")), opaque);
    assert_eq!(behind(&|played| played.client(b"STARTTLS\r\n")), opaque);
    assert_eq!(behind(&|played| played.client(GET.as_bytes())), opaque);
    assert_eq!(
        behind(&|played| played.client(b"PRI * HTTP/2.0\r\n")),
        opaque
    );
}
