use super::*;
use crate::track::Odd;
use crate::track::pieces::{Told, track};
use proptest::prelude::*;

fn requests(stream: &[u8], cuts: &[usize]) -> Told<MessageEvent<RequestHead>> {
    let mut requests = Requests::default();
    track(stream, cuts, |input| requests.advance(input))
}

fn responses(stream: &[u8], cuts: &[usize]) -> Told<MessageEvent<ResponseHead>> {
    let mut responses = Responses::default();
    track(stream, cuts, |input| {
        responses.advance(input, Some(Method::Other))
    })
}

fn ends(told: &Told<MessageEvent<RequestHead>>) -> Vec<usize> {
    let is_end = |(_, event): &&(usize, MessageEvent<RequestHead>)| *event == MessageEvent::End;
    told.0.iter().filter(is_end).map(|(at, _)| *at).collect()
}

/// Requests end where their framing says, however many follow each other.
#[test]
fn requests_end_by_their_framing() {
    let parts = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello",
        "\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n00\r\nT: x\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    ];
    let mut places = Vec::new();
    let mut length = 0;
    for part in parts {
        length += part.len();
        places.push(length);
    }
    let told = requests(parts.concat().as_bytes(), &[]);
    assert_eq!((ends(&told), told.1), (places, None));
}

/// The same length or coding may be said more than once, in several fields or as a list.
#[test]
fn equal_framing_fields_are_one() {
    use Framing::{Chunked, Length};
    for (fields, framing) in [
        ("Content-Length: 3\r\ncontent-length: 3", Length(3)),
        ("Content-Length: 3, 3 ,3", Length(3)),
        ("Content-Length: 3\r\nContent-Length: 3,3", Length(3)),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: Chunked",
            Chunked,
        ),
        ("Transfer-Encoding: chunked, chunked", Chunked),
    ] {
        let request = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        let (told, odd) = requests(request.as_bytes(), &[]);
        let is = |event: &MessageEvent<RequestHead>| matches!(event, MessageEvent::Head(head) if head.framing == framing);
        assert!(
            odd.is_none() && is(&told[0].1),
            "{fields}: {told:?} {odd:?}"
        );
        let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        let (told, odd) = responses(response.as_bytes(), &[]);
        let is = |event: &MessageEvent<ResponseHead>| matches!(event, MessageEvent::Head(head) if head.framing == framing);
        assert!(
            odd.is_none() && is(&told[0].1),
            "{fields}: {told:?} {odd:?}"
        );
    }
}

/// What servers read differently, or what is no HTTP/1 at all, is odd as soon as that is certain,
/// with the reason.
#[test]
fn doubt_is_odd() {
    for (odd, streams) in [
        (
            Odd::Framing,
            &[
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 1,\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, gzip\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked,\r\n\r\n",
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\n",
            ][..],
        ),
        (
            Odd::Malformed,
            &[
                "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
                "GET / HTTP/1.1\nHost: a\n\n",
                "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            ],
        ),
        (
            Odd::NotHttp,
            &[
                "GET / HTTP/2.0\r\n",
                "PRI * HTTP/2.0\r\n",
                "PING\r\n",
                "PING\n",
                "get /",
                "\x16\x03\x01",
                " ",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            ],
        ),
    ] {
        for stream in streams {
            let (_, doubt) = requests(stream.as_bytes(), &[]);
            assert_eq!(doubt, Some(odd), "{stream:?}");
        }
    }
}

/// A head has a limit, and reaching it costs no more than reading it: byte by byte too.
#[test]
fn an_endless_head_is_odd() {
    let stream = ["GET / HTTP/1.1\r\nA: ", &"a".repeat(HEAD_LIMIT)].concat();
    let cuts: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(requests(stream.as_bytes(), &cuts).1, Some(Odd::TooMany));
}

/// Health checkers are known by how their name begins.
#[test]
fn health_checkers_are_known() {
    for (agent, known) in [("kube-probe/1.35", true), ("curl kube-probe/1", false)] {
        let stream = format!("GET / HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n");
        let (told, _) = requests(stream.as_bytes(), &[]);
        assert!(
            matches!(told[0].1, MessageEvent::Head(head) if head.health_check == known),
            "{agent}"
        );
    }
}

/// Which responses have a body, and what delimits it (RFC 9112, section 6.3).
#[test]
fn responses_end_by_their_framing_and_their_request() {
    use Framing::{Chunked, Length, None, UntilClose};
    for (head, method, framing) in [
        ("200 OK\r\nContent-Length: 3", Method::Other, Length(3)),
        ("200 OK\r\nContent-Length: 3", Method::Head, None),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            Method::Other,
            Chunked,
        ),
        ("200 OK", Method::Other, UntilClose),
        ("204 No Content", Method::Other, None),
        ("304 Not Modified\r\nContent-Length: 3", Method::Other, None),
        ("103 Early Hints", Method::Other, None),
    ] {
        let stream = format!("HTTP/1.1 {head}\r\n\r\n");
        let step = Responses::default().advance(stream.as_bytes(), Some(method));
        let Some(MessageEvent::Head(read)) = step.unwrap().event else {
            panic!("{head}: no head");
        };
        assert_eq!(read.framing, framing, "{head}");
    }
}

/// An answer that nobody asked for is odd: which request it belongs to can't be known.
#[test]
fn an_answer_without_a_request_is_odd() {
    let step = Responses::default().advance(b"HTTP/1.1 408 Timeout\r\n", None);
    assert_eq!(step, Err(Odd::Unsolicited));
}

/// Pieces that make interesting streams more often than random bytes do.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => Just("GET / HTTP/1.1\r\n\r\n"),
        4 => Just("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
        4 => Just("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        4 => Just("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        4 => Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\nA: b\r\n\r\n"),
        2 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        1 => Just("HTTP/1.1 200 OK\r\n\r\n"),
        1 => Just("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n"),
        1 => Just("\r\n"),
        1 => Just("\r"),
        1 => Just("\n"),
        1 => Just("0"),
        1 => Just("\0"),
    ];
    prop::collection::vec(fragment, 0..8).prop_map(|parts| parts.concat().into_bytes())
}

fn mangled() -> impl Strategy<Value = Vec<u8>> {
    (
        fragments(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        0..8u8,
    )
        .prop_map(|(mut stream, place, byte, mangle)| {
            if mangle == 0 && !stream.is_empty() {
                let place = place.index(stream.len());
                stream[place] = byte;
            }
            stream
        })
}

proptest! {
    /// However a stream is cut, the same is told at the same places, and doubt comes after the
    /// same events; no input makes a tracker panic.
    #[test]
    fn no_split_changes_what_is_told(
        stream in mangled(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(requests(&stream, &cuts), requests(&stream, &[]));
        prop_assert_eq!(responses(&stream, &cuts), responses(&stream, &[]));
    }
}
