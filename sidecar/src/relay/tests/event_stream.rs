//! Event streams: what they are in the census, and where they end.

use super::*;
use crate::relay::exchange::http1::bytes::LAST_CHUNK;
use ebb_api::connections::EventStreams;

const ASK: &str = "GET / HTTP/1.1\r\nAccept: text/html, Text/Event-Stream;q=0.9\r\n\r\n";
const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
const EVENT: &str = "9\r\ndata: a\n\n\r\n";
const HALF: &str = "8\r\ndata: a\n\r\n";
const REST: &str = "1\r\n\n\r\n";

impl Played {
    /// An event stream under a policy that ends those.
    fn event_stream(ask: &str, begin: &str) -> Played {
        let mut played = Played::new(false);
        played.conduct.connections.event_streams = EventStreams::End;
        played.leave(false);
        played.client(ask.as_bytes());
        played.app(begin.as_bytes());
        played
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(self.to_client()).into_owned()
    }
}

/// It has a name of its own as long as it lives, whatever its body is; then the connection is one
/// of HTTP/1 again.
#[test]
fn it_is_known_as_one() {
    let coded = BEGIN.replace("\r\n\r\n", "\r\nContent-Encoding: br\r\n\r\n");
    let until_close = BEGIN.replace("Transfer-Encoding: chunked\r\n", "");
    for begin in [BEGIN, &*coded, &*until_close] {
        let mut played = Played::event_stream(GET, begin);
        played.app(EVENT.as_bytes());
        let snapshot = played.census.snapshot(played.now);
        assert_eq!(snapshot.in_flight[&Protocol::EventStream], 1, "{begin}");
        assert_eq!(snapshot.connections[&Protocol::EventStream], 1);
        assert_eq!(snapshot.work, 1);
    }
    let mut played = Played::event_stream(ASK, BEGIN);
    played.app([EVENT, "0\r\n\r\n"].concat().as_bytes());
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.connections[&Protocol::Http1], 1);
    assert_eq!((snapshot.in_flight_in_all(), snapshot.finished), (0, 1));
    let played = Played::event_stream(ASK, BEGIN);
    played.connection.exchange.cut(played.now);
    let cut = played.census.snapshot(played.now).cut;
    assert_eq!(cut, [(Protocol::EventStream, 1)].into());
}

/// One that rests between two events ends at once; the client has all of them, and nothing of the
/// app's comes any more.
#[test]
fn it_ends_between_two_events() {
    let mut played = Played::event_stream(ASK, BEGIN);
    played.app(EVENT.as_bytes());
    assert_eq!(played.connection.exchange.wakes_at(played.now), None);
    played.leave(true);
    assert!(played.is_over());
    played.app(EVENT.as_bytes());
    let last = std::str::from_utf8(LAST_CHUNK).unwrap();
    assert_eq!(played.said(), [BEGIN, EVENT, last].concat());
    let snapshot = played.census.snapshot(played.now);
    assert_eq!((snapshot.in_flight_in_all(), snapshot.finished), (0, 1));
}

/// One that is inside of an event ends with it, in the middle of what was read.
#[test]
fn it_ends_with_the_event_under_way() {
    let mut played = Played::event_stream(ASK, BEGIN);
    played.app([EVENT, HALF].concat().as_bytes());
    played.leave(true);
    played.app(b"1\r\n");
    played.pass(Duration::from_secs(60));
    assert!(!played.is_over());
    played.app([&REST[3..], EVENT].concat().as_bytes());
    let last = std::str::from_utf8(LAST_CHUNK).unwrap();
    assert_eq!(played.said(), [BEGIN, EVENT, HALF, REST, last].concat());
    assert!(played.is_over());
}

/// One that begins while the pod leaves is told with its head, too.
#[test]
fn a_late_one_is_told_twice() {
    let mut played = Played::event_stream(ASK, "");
    played.leave(true);
    played.app([BEGIN, EVENT].concat().as_bytes());
    assert!(played.is_over());
    let told = BEGIN.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let last = std::str::from_utf8(LAST_CHUNK).unwrap();
    assert_eq!(played.said(), [&*told, EVENT, last].concat());
}

/// What is not certain to be a whole event stream that its client can ask for again is waited for.
#[test]
fn doubt_waits() {
    let head = |old: &str, new: &str| BEGIN.replace(old, new);
    let post = "POST / HTTP/1.1\r\nAccept: text/event-stream\r\nContent-Length: 1\r\n\r\na";
    for (ask, begin) in [
        (GET, BEGIN.to_owned()),
        (post, BEGIN.to_owned()),
        (&*ASK.replace("GET", "POST"), BEGIN.to_owned()),
        (&*[ASK, ASK].concat(), BEGIN.to_owned()),
        (&*[ASK, "GET"].concat(), BEGIN.to_owned()),
        (ASK, head("200 OK", "202 Accepted")),
        (ASK, head("event-stream;", "event-streams;")),
        (ASK, head("Transfer", "Content-Encoding: gzip\r\nTransfer")),
        (ASK, head("Transfer-Encoding: chunked\r\n", "")),
    ] {
        let mut played = Played::event_stream(ask, &begin);
        played.app(EVENT.as_bytes());
        played.leave(true);
        played.app(EVENT.as_bytes());
        played.pass(Duration::from_secs(60));
        assert!(!played.is_over(), "{ask}{begin}");
        assert_eq!(played.said(), [&*begin, EVENT, EVENT].concat());
    }
    let mut played = Played::event_stream(ASK, BEGIN);
    played.leave(true);
    assert!(!played.is_over(), "it has said nothing yet");
    played.app(&EVENT.as_bytes()[..9]);
    assert!(!played.is_over(), "the chunk is not complete");
}

/// By default it is waited for, as any answer is; a policy that changes its mind is heard.
#[test]
fn the_policy_decides() {
    let mut played = Played::new(true);
    played.client(ASK.as_bytes());
    played.app([BEGIN, EVENT].concat().as_bytes());
    played.pass(Duration::from_secs(60));
    assert!(!played.is_over());
    assert_eq!(played.connection.exchange.wakes_at(played.now), None);
    played.conduct.connections.event_streams = EventStreams::End;
    played.leave(true);
    assert!(played.is_over());
}

/// Event streams, most of them lawful, beside other answers.
pub(super) fn talk() -> impl Strategy<Value = Vec<Act>> {
    let chunk = "[a:\r\n]{1,8}".prop_map(|text| {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        Act::App(chunk.into_bytes())
    });
    let event = Just(Act::App(EVENT.as_bytes().to_vec()));
    let turn = prop_oneof![
        8 => event,
        4 => chunk,
        1 => Just(Act::App(LAST_CHUNK.to_vec())),
        1 => Just(Act::App(OK.as_bytes().to_vec())),
        1 => Just(Act::Client(GET.as_bytes().to_vec())),
        1 => Just(Act::Client(b"GE".to_vec())),
    ];
    prop::collection::vec(turn, 0..12).prop_map(|turns| {
        let ask = Act::Client(ASK.as_bytes().to_vec());
        let begin = Act::App(BEGIN.as_bytes().to_vec());
        [ask, begin].into_iter().chain(turns).collect()
    })
}

/// The text in a chunked body, by the book (RFC 9112, section 7.1.3) and without a tracker; `None`
/// if it is not whole.
fn text(mut body: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        text.push_str(rest.get(..size)?);
        body = rest[size..].strip_prefix("\r\n")?;
        if size == 0 {
            return body.is_empty().then_some(text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A stream that was ended is a whole body, and its text the app's up to the end of some event.
    #[test]
    fn what_was_ended_is_whole(
        chunks in prop::collection::vec("[a\r\n]{1,5}", 0..12),
        cuts in prop::collection::vec(any::<usize>(), 0..4),
        leaves in any::<prop::sample::Index>(),
    ) {
        let mut played = Played::event_stream(ASK, BEGIN);
        let leaves = leaves.index(chunks.len() + 1);
        for (index, chunk) in chunks.iter().enumerate() {
            if index == leaves {
                played.leave(true);
            }
            let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
            for piece in in_pieces(chunk.as_bytes(), &cuts) {
                played.app(piece);
            }
        }
        played.leave(true);
        let said = played.said();
        let body = &said[BEGIN.len()..];
        if played.is_over() {
            let text = text(body);
            prop_assert!(text.is_some(), "{:?}", body);
            let text = text.unwrap_or_default();
            prop_assert!(chunks.concat().starts_with(&text));
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert!(lines.ends_with("\n\n"), "{:?}", text);
        } else {
            let rests = chunks.last().is_some_and(|last| {
                last.ends_with("\n\n") || last.ends_with("\r\n\r\n")
            });
            prop_assert!(!rests, "it is between two events");
        }
    }
}
