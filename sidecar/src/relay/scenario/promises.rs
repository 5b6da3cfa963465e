//! What every conversation is held to, whatever is said in it.

use super::differences::is_close_frame;
use super::start::{Framed, Start};
use super::{Act, Played, acts_from, frames};
use crate::track::http2::LAST_STREAM;
use ebb_api::connections::ConnectionSettings;
use ebb_api::report::Protocol;
use std::time::Duration;

/// What the way that bytes were cut must not change.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    to_app: Vec<u8>,
    to_client: Vec<u8>,
    /// After each act that is no word.
    in_flight: Vec<u64>,
    /// Doubt came while the pod left: a goodbye that was due, or a client at a gate, comes before
    /// it or after it, by what is read first.
    races: bool,
}

/// Plays a script, which any bytes are, on a connection that has begun like this.
///
/// # Panics
///
/// The relay broke a promise.
pub fn hold(start: Start, script: &[u8]) {
    let acts = acts_from(script);
    let whole = play(start, &acts);
    let bytes: Vec<Act> = acts.iter().flat_map(byte_by_byte).collect();
    let in_bytes = play(start, &bytes);
    if !matters(&acts) && !whole.races && !in_bytes.races {
        assert_eq!(in_bytes, whole, "byte by byte, and as it came");
    }
}

/// Whether it matters how bytes come: of an app whose client takes nothing the relay reads no more
/// than one read, and while the app is about to go any rest is the last one.
fn matters(acts: &[Act]) -> bool {
    acts.contains(&Act::ClientStalls) || acts.contains(&Act::Close)
}

fn byte_by_byte(act: &Act) -> Vec<Act> {
    let each =
        |said: &[u8], act: fn(Vec<u8>) -> Act| said.iter().map(|byte| act(vec![*byte])).collect();
    match act {
        Act::Client(said) => each(said, Act::Client),
        Act::App(said) => each(said, Act::App),
        other => vec![other.clone()],
    }
}

fn play(start: Start, acts: &[Act]) -> Outcome {
    let mut played = Played::new(false);
    let mut in_flight = Vec::new();
    // In the end every drain ends.
    let ends = [
        Act::ClientTakes,
        Act::Leave,
        Act::Wait(Duration::from_secs(60)),
        Act::Close,
        Act::Wait(Duration::from_secs(60)),
        // Nobody hands over.
        Act::Policy(ConnectionSettings::default()),
        Act::Cut,
        Act::Wait(Duration::from_secs(3)),
    ];
    let mut races = false;
    for act in start.acts().iter().chain(acts).chain(&ends) {
        played.act(act);
        let connections = played.census.snapshot(played.now).connections;
        races |= played.has_left && connections.contains_key(&Protocol::Opaque);
        if !matches!(act, Act::Client(_) | Act::App(_)) {
            in_flight.push(played.in_flight());
            if let Err(wrong) = played.check() {
                panic!("after {act:?}: {wrong}");
            }
        }
    }
    assert!(played.ended.is_some(), "the deadline ends a connection");
    match start.framed() {
        Framed::Not => {}
        Framed::Http2 { client, app } => check_http2(&played, client, app),
        Framed::WebSocket { app } => check_websocket(&played, app),
    }
    let (census, now) = (played.census.clone(), played.now);
    let to_client = match start.framed() {
        // It comes behind all that the app says together with the end of an answer.
        Framed::Http2 { app, .. } => frames::without_warnings(played.to_client(), app),
        Framed::Not | Framed::WebSocket { .. } => played.to_client().to_vec(),
    };
    let outcome = Outcome {
        to_app: played.to_app().to_vec(),
        to_client,
        in_flight,
        races,
    };
    drop(played);
    assert_eq!(census.snapshot(now).connections_in_all(), 0);
    assert_eq!(census.busy(), 0, "no connection, and nothing in flight");
    outcome
}

/// Our frames stand between those of the app; the last one names the last stream that the app saw,
/// and comes when none is open, or at the deadline.
fn check_http2(played: &Played, client: usize, app: usize) {
    let said = frames::http2(&played.app_said()[app..]);
    let heard = frames::http2(played.to_client().get(app..).unwrap_or_default());
    let mut theirs = 0;
    let mut last = None;
    for frame in &heard {
        // An app may have the same words as the relay: which of two is whose makes no difference.
        if said.get(theirs) == Some(frame) {
            theirs += 1;
            last = None;
            continue;
        }
        assert!(frame.is_goodbye(), "what the client heard falls apart");
        assert!(
            theirs > 0 && said[theirs - 1].may_be_followed(),
            "a goodbye inside of a header block, or as the first word"
        );
        last = frame.last_stream();
    }
    let exact = |last: &u32| *last != LAST_STREAM && played.is_over();
    let Some(last) = last.filter(exact) else {
        return;
    };
    let mut asked = frames::streams(played.to_app().get(client..).unwrap_or_default());
    let answered = frames::streams(&played.app_said()[app..][..said[theirs - 1].end]);
    if app > 0 {
        // The request that asked for HTTP/2.
        asked.opened.insert(0, 1);
    }
    let bound = answered.last.unwrap_or(u32::MAX);
    let highest = asked.opened.iter().copied().max().unwrap_or(0);
    assert_eq!(last, highest.min(bound), "the last stream that the app saw");
    let is_open = |stream: &&u32| {
        **stream <= bound && !asked.ended.contains(stream) && !answered.ended.contains(stream)
    };
    let open = asked.opened.iter().find(is_open);
    assert!(
        open.is_none() || played.is_cut() || played.connection.app_side.read,
        "stream {open:?} was open"
    );
}

/// Our Close stands between two messages of the app; at the deadline between two frames.
fn check_websocket(played: &Played, app: usize) {
    if played.app_said().starts_with(played.to_client()) {
        return;
    }
    let told = played.to_client();
    let (told, close) = told.split_at(told.len().saturating_sub(4));
    assert!(is_close_frame(close), "the only word of ours");
    let (frames, messages) = frames::is_between_websocket_frames(&told[app..]);
    assert!(
        messages || (played.is_cut() && frames),
        "a Close inside of something"
    );
}

#[cfg(test)]
mod tests;
