//! Goodbyes of HTTP/2: frames of the relay's own between those of the app.

use crate::track::http2::LAST_STREAM;

/// A connection ends and nothing was wrong (NO_ERROR; RFC 9113, section 7). Every stream after
/// `last` is safe to send again: the app has not seen it.
pub(crate) fn go_away(last: u32) -> [u8; 17] {
    let mut frame = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[9..13].copy_from_slice(&last.to_be_bytes());
    frame
}

/// The connection will end: begin nothing more on it (RFC 9113, section 6.8). What crosses this is
/// served.
pub(crate) fn warning() -> [u8; 17] {
    go_away(LAST_STREAM)
}

/// What a PING after the warning says: its answer tells that the client has read both, and all
/// streams that it had begun before come ahead of the answer.
pub(crate) const WARNED: [u8; 8] = *b"ebb-warn";

/// What a PING says whose answer tells that the client reads while it is at rest.
pub(crate) const AT_REST: [u8; 8] = *b"ebb-rest";

/// A question that every client answers with the same words (RFC 9113, section 6.7).
pub(crate) fn ping(says: [u8; 8]) -> [u8; 17] {
    let mut frame = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[9..].copy_from_slice(&says);
    frame
}
