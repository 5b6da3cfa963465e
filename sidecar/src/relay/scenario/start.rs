//! How a conversation begins, so that a fuzzer need not find it out.

use super::Act;
use crate::track::http2::PREFACE;
use ebb_api::connections::{ConnectionSettings, EventStreams};

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

const ASK_HTTP2: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\
    Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n";
const SWITCH_TO_HTTP2: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

const ASK_WEBSOCKET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH_TO_WEBSOCKET: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

const ASK_EVENTS: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n";

/// What was said on a connection before its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing.
    Nothing,
    /// The greetings of HTTP/2.
    Http2,
    /// A request for HTTP/2 and the app's 101.
    Http2Upgrade,
    /// A WebSocket handshake.
    WebSocket,
    /// An event stream with its first event, and a policy that ends such streams.
    EventStream,
}

/// Where frames begin in what both sides say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed {
    Not,
    Http2 { client: usize, app: usize },
    WebSocket { app: usize },
}

impl Start {
    pub(super) fn acts(self) -> Vec<Act> {
        let says =
            |client: &[u8], app: &[u8]| vec![Act::Client(client.into()), Act::App(app.into())];
        match self {
            Start::Nothing => Vec::new(),
            Start::Http2 => says(&[PREFACE, SETTINGS].concat(), SETTINGS),
            Start::Http2Upgrade => says(ASK_HTTP2, SWITCH_TO_HTTP2),
            Start::WebSocket => says(ASK_WEBSOCKET, SWITCH_TO_WEBSOCKET),
            Start::EventStream => {
                let ends = Act::Policy(ConnectionSettings {
                    event_streams: EventStreams::End,
                    ..ConnectionSettings::default()
                });
                [vec![ends], says(ASK_EVENTS, EVENTS)].concat()
            }
        }
    }

    pub(super) fn framed(self) -> Framed {
        match self {
            Start::Nothing | Start::EventStream => Framed::Not,
            Start::Http2 => Framed::Http2 {
                client: PREFACE.len(),
                app: 0,
            },
            Start::Http2Upgrade => Framed::Http2 {
                client: ASK_HTTP2.len() + PREFACE.len(),
                app: SWITCH_TO_HTTP2.len(),
            },
            Start::WebSocket => Framed::WebSocket {
                app: SWITCH_TO_WEBSOCKET.len(),
            },
        }
    }
}
