//! Trackers: they watch the bytes of a connection go by and find boundaries, nothing else.
//!
//! They own no socket and no clock, take any split of the stream, and never change a byte. What they
//! are not sure of they call [`Odd`], and the connection is opaque from then on: a wrong guess may
//! change when a goodbye is said, never what is said.

pub mod http1;
pub mod opaque;

/// The bytes are not what the tracker knows for certain: the connection is opaque from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd;
