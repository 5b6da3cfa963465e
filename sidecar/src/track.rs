//! Trackers: they watch the bytes of a connection go by and find boundaries, nothing else.
//!
//! They own no socket and no clock, take any split of the stream, and never change a byte. What they
//! are not sure of they call [`Odd`], and the connection is opaque from then on: a wrong guess may
//! change when a goodbye is said, never what is said.

pub mod event_stream;
pub mod http1;
pub mod http2;
pub mod opaque;
#[cfg(any(test, feature = "fuzzing"))]
pub mod pieces;
pub mod tls;
pub mod websocket;

/// The bytes are not what the tracker knows for certain: the connection is opaque from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd;

/// How far a tracker came in its input: it stops at the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<E> {
    /// How many bytes of the input it went over.
    pub used: usize,
    /// What ended there; nothing if all of the input was used.
    pub event: Option<E>,
}
