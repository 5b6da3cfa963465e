//! What the relay itself says to a client: only while the pod leaves, and only these words.

pub mod http1;
pub mod http2;
pub mod websocket;
