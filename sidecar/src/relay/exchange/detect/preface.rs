//! The start of a connection, for as long as it may be that of HTTP/2 (RFC 9113, section 3.4): the
//! client says its preface, and the app its SETTINGS, whoever is first.

use crate::relay::exchange::At;
use crate::relay::exchange::edit::{Next, Passed};
use crate::relay::exchange::http2::Http2;
use crate::track::Odd;
use crate::track::http2::PREFACE;

/// What was seen of such a start. Beside it everything is looked at as HTTP/1 too, with which the
/// preface shares its first letters.
#[derive(Default)]
pub(in crate::relay::exchange) struct Preface {
    /// How many bytes of the preface were seen.
    matched: usize,
    /// What the app has said is HTTP/2.
    http2: Option<Box<Http2>>,
    /// Why what the client has said is no HTTP/1, if it is not.
    pub(in crate::relay::exchange) doubt: Option<Odd>,
    /// The app has closed its side already.
    pub(in crate::relay::exchange) app_closed: bool,
}

/// What the client's bytes make of it.
pub(in crate::relay::exchange) enum IsHttp2 {
    /// It is no HTTP/2.
    No,
    /// It may be.
    Perhaps,
    /// It is, and this number of bytes belong to the preface.
    Yes(usize),
}

impl Preface {
    /// Bytes of the client.
    pub(in crate::relay::exchange) fn client_sent(&mut self, input: &[u8]) -> IsHttp2 {
        let rest = &PREFACE[self.matched..];
        let length = rest.len().min(input.len());
        if input[..length] != rest[..length] {
            return IsHttp2::No;
        }
        self.matched += length;
        if self.matched == PREFACE.len() {
            IsHttp2::Yes(length)
        } else {
            IsHttp2::Perhaps
        }
    }

    /// Bytes of the app; `None` if they are no HTTP/2.
    pub(in crate::relay::exchange) fn app_sent<'a>(
        &mut self,
        input: &'a [u8],
        at: At<'_>,
    ) -> Option<Passed<'a>> {
        let http2 = self.http2.get_or_insert_default();
        let passed = http2.app_sent(input, at.without_goodbye());
        (passed.next == Next::Same).then_some(passed)
    }

    /// Why this is neither HTTP/1 nor, as it turned out, HTTP/2; `None` if it may be HTTP/1.
    pub(in crate::relay::exchange) fn is_neither(&self) -> Option<Odd> {
        let only_app = self.http2.is_some().then_some(Odd::NotHttp);
        self.doubt.or(only_app)
    }

    /// The app has said something.
    pub(in crate::relay::exchange) fn app_has_spoken(&self) -> bool {
        self.http2.is_some()
    }

    /// It is HTTP/2.
    pub(in crate::relay::exchange) fn into_http2(self, at: At<'_>) -> Box<Http2> {
        let mut http2 = self.http2.unwrap_or_default();
        if self.app_closed {
            http2.app_closed(at);
        }
        http2
    }
}
