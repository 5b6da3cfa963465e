//! What the fuzz targets drive: a connection without sockets through any scenario, held to what the
//! relay promises. It is part of tests and of the feature `fuzzing`, never of the program.
//!
//! ```text
//!  bytes --script--> steps --rehearsal--> what both ends said and heard
//!                                            +-- goodbyes: the difference is a goodbye in its place
//!                                            +-- frames:   told without the trackers
//! ```

mod frames;
mod goodbyes;
mod rehearsal;
mod script;
mod trackers;

use crate::goodbye::http1::{TIMEOUT, UNAVAILABLE};
use crate::goodbye::http2::PING;
use crate::goodbye::websocket::GOING_AWAY;
use crate::track::http2::PREFACE;
use frames::{is_between_http2_frames, is_between_websocket_frames};
use goodbyes::{Framed, Word};
use rehearsal::Rehearsal;
use script::Step;
use std::time::Duration;

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

const ASK_HTTP2: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\
    Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n";
const SWITCH_TO_HTTP2: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

const ASK_WEBSOCKET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH_TO_WEBSOCKET: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// What was said on a connection before its scenario begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing.
    Nothing,
    /// The greetings of HTTP/2.
    Http2,
    /// A request for HTTP/2 and the app's 101.
    Http2Upgrade,
    /// A WebSocket handshake.
    WebSocket,
}

/// Plays a scenario, which any bytes are, on a connection that has begun like this.
///
/// # Panics
///
/// The relay broke a promise.
pub fn exchange(start: Start, script: &[u8]) {
    let steps = script::read(script);
    let whole = play(start, &steps, false);
    // Of a client that takes nothing the relay reads no more than it has read: then it matters.
    if !steps.contains(&Step::ClientStalls) {
        let in_bytes = play(start, &steps, true);
        assert_eq!(in_bytes, whole, "byte by byte, and as it came");
    }
}

/// Feeds a tracker, which the first byte names, with a stream cut in several ways.
///
/// # Panics
///
/// What it tells depends on the cuts.
pub fn trackers(input: &[u8]) {
    trackers::cut(input);
}

/// What the way that bytes were cut must not change.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    app_heard: Vec<u8>,
    client_heard: Vec<u8>,
    answer: Option<Vec<u8>>,
    in_flight: Vec<u64>,
}

fn play(start: Start, steps: &[Step], in_bytes: bool) -> Outcome {
    let mut played = Rehearsal::new(in_bytes);
    for step in start.steps() {
        played.play(step);
    }
    let mut has_left = false;
    let mut in_flight = Vec::new();
    for step in steps {
        has_left |= matches!(step, Step::Leave | Step::Close | Step::Cut);
        played.play(step.clone());
        if !has_left {
            nothing_has_changed(&played);
        }
        in_flight.push(counted(&played));
    }
    let ends = [
        Step::ClientTakes,
        Step::Leave,
        Step::Time(Duration::from_secs(60)),
        Step::Close,
        Step::Time(Duration::from_secs(60)),
        Step::Cut,
        Step::Time(Duration::from_secs(3)),
    ];
    for step in ends {
        played.play(step);
        in_flight.push(counted(&played));
    }
    assert!(played.ended.is_some(), "the deadline ends a connection");
    judge(start, &played);
    let (census, now) = (played.census.clone(), played.now);
    let outcome = Outcome {
        app_heard: std::mem::take(&mut played.app.heard),
        client_heard: std::mem::take(&mut played.client.heard),
        answer: played.answer.take(),
        in_flight,
    };
    drop(played);
    let snapshot = census.snapshot(now);
    assert_eq!(snapshot.connections_in_all(), 0);
    assert_eq!(census.busy(), 0, "nothing is in flight on no connection");
    outcome
}

/// What went in came out, at once.
fn nothing_has_changed(played: &Rehearsal) {
    assert!(played.answer.is_none(), "the relay says nothing");
    assert_eq!(played.app.heard, played.client.said, "to the app");
    assert_eq!(played.client.heard, played.app.said, "to the client");
}

/// What is in flight, on which the exchange and the census agree.
fn counted(played: &Rehearsal) -> u64 {
    let in_flight = played.census.snapshot(played.now).in_flight_in_all();
    if played.ended.is_none() && !played.app.has_ended && !played.orphaned {
        let is_idle = played.exchange.is_idle(played.now);
        assert!(
            !is_idle || in_flight == 0,
            "{in_flight} in flight, and idle"
        );
    }
    in_flight
}

/// Holds what both ends heard in all against what they said.
fn judge(start: Start, played: &Rehearsal) {
    let framed = start.framed();
    let (app, heard) = (&played.app.said, &played.client.heard);
    let Some(words) = goodbyes::words(app, heard, framed) else {
        panic!("{} became {}", app.escape_ascii(), heard.escape_ascii());
    };
    let warned = words.iter().any(|word| matches!(word, Word::Warning(_)));
    let (asked, passed) = (&played.client.said, &played.app.heard);
    assert!(
        asked.starts_with(passed) || (warned && is_without_pong(asked, passed)),
        "{} became {}",
        asked.escape_ascii(),
        passed.escape_ascii()
    );
    if let Some(Word::Exact(place, last)) = words.last() {
        exact(start, played, *place, *last);
    }
    if let Some(answer) = &played.answer {
        let is_fit = match (framed, &answer[..]) {
            (
                Framed {
                    http2: Some(from), ..
                },
                [_, _, _, 7, ..],
            ) => is_between_http2_frames(&heard[from..], heard.len() - from),
            (
                Framed {
                    websocket: Some(from),
                    ..
                },
                answer,
            ) if answer == GOING_AWAY => {
                is_between_websocket_frames(&heard[from..], heard.len() - from).0
            }
            (_, answer) => answer == UNAVAILABLE || answer == TIMEOUT || start == Start::Nothing,
        };
        assert!(
            is_fit,
            "{} behind {}",
            answer.escape_ascii(),
            heard.escape_ascii()
        );
    }
}

/// The client's bytes but for the answer to our PING.
fn is_without_pong(asked: &[u8], passed: &[u8]) -> bool {
    let pong = [&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &PING].concat();
    let places = asked.windows(pong.len()).enumerate();
    places
        .filter(|(_, window)| *window == pong)
        .any(|(place, _)| {
            let without = [&asked[..place], &asked[place + pong.len()..]].concat();
            without.starts_with(passed)
        })
}

/// GOAWAY with the last stream came when no stream was open, and names the last that the app saw.
fn exact(start: Start, played: &Rehearsal, place: usize, last: u32) {
    let (Some(app_from), Some(client_from)) = (start.framed().http2, start.client_frames()) else {
        return;
    };
    let mut client = frames::streams(played.app.heard.get(client_from..).unwrap_or_default());
    let app = frames::streams(&played.app.said[app_from..place]);
    if start == Start::Http2Upgrade {
        client.opened.insert(0, 1);
    }
    let bound = app.last.unwrap_or(u32::MAX);
    let highest = client.opened.iter().copied().max().unwrap_or(0);
    assert_eq!(last, highest.min(bound), "the last stream that the app saw");
    let is_open = |stream: &&u32| {
        **stream <= bound && !client.ended.contains(stream) && !app.ended.contains(stream)
    };
    let open = client.opened.iter().find(is_open);
    assert!(
        open.is_none() || played.app.has_ended,
        "stream {open:?} was open"
    );
}

impl Start {
    fn steps(self) -> Vec<Step> {
        let says = |client: &[u8], app: &[u8]| {
            vec![
                Step::ClientSays(client.to_vec()),
                Step::AppSays(app.to_vec()),
            ]
        };
        match self {
            Start::Nothing => Vec::new(),
            Start::Http2 => says(&[PREFACE, SETTINGS].concat(), SETTINGS),
            Start::Http2Upgrade => says(ASK_HTTP2, SWITCH_TO_HTTP2),
            Start::WebSocket => says(ASK_WEBSOCKET, SWITCH_TO_WEBSOCKET),
        }
    }

    /// Where the app's frames begin.
    fn framed(self) -> Framed {
        match self {
            Start::Nothing => Framed::default(),
            Start::Http2 => Framed {
                http2: Some(0),
                ..Framed::default()
            },
            Start::Http2Upgrade => Framed {
                http2: Some(SWITCH_TO_HTTP2.len()),
                ..Framed::default()
            },
            Start::WebSocket => Framed {
                websocket: Some(SWITCH_TO_WEBSOCKET.len()),
                ..Framed::default()
            },
        }
    }

    /// Where the client's frames of HTTP/2 begin.
    fn client_frames(self) -> Option<usize> {
        match self {
            Start::Http2 => Some(PREFACE.len()),
            Start::Http2Upgrade => Some(ASK_HTTP2.len() + PREFACE.len()),
            Start::Nothing | Start::WebSocket => None,
        }
    }
}

#[cfg(test)]
mod tests;
