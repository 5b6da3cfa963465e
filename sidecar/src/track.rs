//! Trackers: they watch the bytes of a connection go by and find boundaries, nothing else.
//!
//! They own no socket and no clock, take any split of the stream, and never change a byte. What
//! they are not sure of they call [`Odd`], and the connection is opaque from then on: a wrong guess
//! may change when a goodbye is said, never what is said.

pub mod event_stream;
pub mod heartbeat;
pub mod http1;
pub mod http2;
pub mod opaque;
#[cfg(any(test, feature = "fuzzing"))]
pub mod pieces;
pub mod proxy_protocol;
pub mod tls;
pub mod websocket;

use std::fmt;

/// Why the bytes are not what a tracker knows for certain: the connection is opaque from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Odd {
    /// They began as another protocol's do.
    NotHttp,
    /// A head or a frame breaks the rules of its protocol, or different servers read it
    /// differently.
    Malformed,
    /// The same of what delimits a body: its length, its coding, or its chunks.
    Framing,
    /// More than is followed: a longer head, more fields, more open requests or streams.
    TooMany,
    /// An answer, or the promise of one, to what nobody has asked.
    Unsolicited,
    /// The client asked for another protocol (RFC 9110, sections 7.8 and 9.3.6), and that is one of
    /// which nothing is known, or the change is not certain.
    Upgrade,
}

impl Odd {
    /// All of them, in their order here.
    pub const ALL: [Odd; 6] = [
        Odd::NotHttp,
        Odd::Malformed,
        Odd::Framing,
        Odd::TooMany,
        Odd::Unsolicited,
        Odd::Upgrade,
    ];

    /// Its one spelling, in the log and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Odd::NotHttp => "NotHttp",
            Odd::Malformed => "Malformed",
            Odd::Framing => "Framing",
            Odd::TooMany => "TooMany",
            Odd::Unsolicited => "Unsolicited",
            Odd::Upgrade => "Upgrade",
        }
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a tracker came in its input: it stops at the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<E> {
    /// How many bytes of the input it went over.
    pub used: usize,
    /// What ended there; `None` if all of the input was used.
    pub event: Option<E>,
}
