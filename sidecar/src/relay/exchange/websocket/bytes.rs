//! The goodbye of WebSocket.

use ebb_api::connections::WebSocketCode;

/// A Close frame with this code and no reason (RFC 6455, section 5.5.1), as a server sends it:
/// without a mask.
pub(crate) const fn close_frame(code: WebSocketCode) -> [u8; 4] {
    let [high, low] = code.get().to_be_bytes();
    [0x88, 2, high, low]
}
