//! HTTP/2 (RFC 9113): which streams are open, by frame headers alone.
//!
//! ```text
//!  client bytes --> Client --Opened, Reset-------------------> which streams are open
//!  app bytes    --> App    --Ended, Reset, Promised, GoAway-->
//! ```
//!
//! Header blocks are never opened (no HPACK), so what a stream carries is not known, only that it
//! lives. Frames of unknown types pass (RFC 9113, section 4.1). A frame that its receiver would
//! have to answer with a connection error is odd.

mod app;
mod client;
mod frame;
mod frames;

pub use app::{App, AppEvent};
pub use client::{Client, ClientEvent};

/// What a client says first (RFC 9113, section 3.4), before its first frame.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The highest stream identifier (RFC 9113, section 5.1.1).
pub const LAST_STREAM: u32 = (1 << 31) - 1;

#[cfg(test)]
pub(crate) mod tests;
