//! The relay over real sockets of the loopback: a test is the client and the app at once, and says
//! byte by byte what each of them sends and must see.

mod abuse;
mod closing;
mod connections;
mod event_stream;
mod goodbye;
mod harness;
mod holders;
mod http1;
mod http2;
mod listening;
mod opaque;
mod proxy_protocol;
mod websocket;

/// How many threads run the relay's connections.
const WORKERS: usize = 1;
