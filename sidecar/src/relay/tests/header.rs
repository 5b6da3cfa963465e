//! Connections that begin with a header of the PROXY protocol.

use super::*;
use crate::relay::exchange::http2::bytes::warning;
use crate::track::http2::PREFACE;
use crate::track::http2::tests::frame;

pub(super) const HEADERS: [&[u8]; 3] = [
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 80\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x34\0\x50",
];

/// Says this behind each header, in two pieces that are cut in any place.
fn each(said: &[u8], leaving: bool, check: impl Fn(Played)) {
    for header in HEADERS {
        let stream = [header, said].concat();
        for cut in 0..stream.len() {
            let mut played = Played::new(leaving);
            played.client(&stream[..cut]);
            played.client(&stream[cut..]);
            assert_eq!(played.to_app(), stream, "nothing is changed or held");
            check(played);
        }
    }
}

/// HTTP/1 behind it is tracked, and its answer carries the goodbye.
#[test]
fn http1_behind_it_is_tracked() {
    each(GET.as_bytes(), true, |mut played| {
        assert_eq!(
            played.census.snapshot(played.now).in_flight,
            [(Protocol::Http1, 1)].into()
        );
        played.app(OK.as_bytes());
        assert_eq!(String::from_utf8_lossy(played.to_client()), LAST);
        assert!(played.is_over());
    });
}

/// So is HTTP/2.
#[test]
fn http2_behind_it_is_tracked() {
    let request = frame(1, 0x5, 1, b"head");
    let said = [PREFACE, &frame(4, 0, 0, &[])[..], &request].concat();
    each(&said, true, |mut played| {
        assert_eq!(
            played.census.snapshot(played.now).in_flight,
            [(Protocol::Http2, 1)].into()
        );
        let answer = [frame(4, 0, 0, &[]), frame(1, 0x5, 1, b"head")].concat();
        played.app(&answer);
        assert_eq!(played.to_client(), [answer, warning().to_vec()].concat());
    });
}

/// TLS is recognized.
#[test]
fn tls_behind_it_is_recognized() {
    each(CLIENT_HELLO, false, |played| {
        assert_eq!(
            played.census.snapshot(played.now).in_flight,
            [(Protocol::Tls, 1)].into()
        );
    });
}

/// A client that says nothing of its own is not waited for, greeted or not; one that stops within
/// the header is for a while, as within any head.
#[test]
fn a_header_alone_is_not_waited_for() {
    for header in HEADERS {
        let mut played = Played::new(false);
        played.client(&header[..14]);
        assert_eq!(played.in_flight(), 1);
        played.client(&header[14..]);
        assert_eq!(played.in_flight(), 0);
        played.app(b"220 ready\r\n");
        assert_eq!(played.in_flight(), 0);
        let mut played = Played::new(false);
        played.client(&header[..14]);
        played.pass(HEAD_PATIENCE);
        assert_eq!(played.in_flight(), 0);
    }
}

/// When the app closes an idle connection, its client is told, and no other connection to the app
/// takes its place, which would lack the header.
#[test]
fn no_other_connection_takes_its_place() {
    for header in HEADERS {
        let mut played = Played::new(false);
        played.client(&[header, GET.as_bytes()].concat());
        played.app(OK.as_bytes());
        played.leave(true);
        let end = played
            .connection
            .exchange
            .app_closed(AppClosed::First, played.now);
        assert_eq!(end, AppEnd::Pass);
    }
}

/// What begins like a header and is none is what it is without, or opaque.
#[test]
fn what_only_begins_like_it() {
    let mut played = Played::new(true);
    played.client(b"\r\n\r\n");
    played.client(GET.as_bytes());
    played.app(OK.as_bytes());
    assert_eq!(String::from_utf8_lossy(played.to_client()), LAST);
    for odd in [
        &b"\r\n\r\n\0\r\nQUIT\n\x31"[..],
        b"\r\n\r\n\0GET / HTTP/1.1\r\n\r\n",
    ] {
        for cut in 0..odd.len() {
            let mut played = Played::new(false);
            played.client(&odd[..cut]);
            played.client(&odd[cut..]);
            assert_eq!(played.to_app(), odd);
            let in_flight = played.census.snapshot(played.now).in_flight;
            assert_eq!(in_flight, [(Protocol::Opaque, 1)].into(), "{cut}");
        }
    }
}
