//! The tests of the relay over real sockets once more, with two threads that run connections:
//! nothing that a client or an app sees depends on that.

#[path = "relay/closing.rs"]
mod closing;
#[path = "relay/connections.rs"]
mod connections;
#[path = "relay/event_stream.rs"]
mod event_stream;
#[path = "relay/goodbye.rs"]
mod goodbye;
#[path = "relay/harness.rs"]
mod harness;
#[path = "relay/http1.rs"]
mod http1;
#[path = "relay/http2.rs"]
mod http2;
#[path = "relay/listening.rs"]
mod listening;
#[path = "relay/opaque.rs"]
mod opaque;
#[path = "relay/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "relay/websocket.rs"]
mod websocket;

/// How many threads run the relay's connections.
const WORKERS: usize = 2;
