//! The goodbye of WebSocket.

/// A Close frame that says "going away" (1001; RFC 6455, sections 5.5.1 and 7.4.1), as a server
/// sends it: without a mask.
pub(crate) const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];
