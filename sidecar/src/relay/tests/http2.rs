//! HTTP/2, as both sides speak it.

use super::*;
use crate::relay::exchange::http2::bytes::{AT_REST, WARNED, go_away, ping, warning};
use crate::track::http2::PREFACE;
use crate::track::http2::tests::frame;

mod crossing;
mod deadline;
mod goodbye;
mod hello;
mod probe;
pub(super) mod random;
mod streams;

pub(super) fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// A whole request on a stream.
pub(super) fn request(stream: u32) -> Vec<u8> {
    frame(1, 0x5, stream, b"head")
}

/// A whole answer on a stream.
pub(super) fn answer(stream: u32) -> Vec<u8> {
    [
        frame(1, 0x4, stream, b"head"),
        frame(0, 0x1, stream, b"body"),
    ]
    .concat()
}

/// What the PING after a warning is answered with.
fn pong() -> Vec<u8> {
    frame(6, 0x1, 0, &WARNED)
}

impl Played {
    /// A connection of HTTP/2 on which both sides have said hello.
    fn http2(leaving: bool) -> Played {
        let mut played = Played::new(leaving);
        played.client(PREFACE);
        played.client(&settings());
        played.app(&settings());
        played.forget();
        played
    }
}
