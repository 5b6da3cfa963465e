//! The kinds of clients, and how many there are of each.

use serde::{Deserialize, Serialize};

/// How a client speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// HTTP/1, POSTs on a connection that stays.
    KeepAlive,
    /// HTTP/1, a connection for each POST.
    Fresh,
    /// HTTP/2, POSTs beside each other on one connection.
    Http2,
    /// gRPC, unary calls.
    GrpcCall,
    /// gRPC, bidirectional streams; each message that is to be answered counts.
    GrpcStream,
    /// WebSocket; each message that is to be echoed counts.
    WebSocket,
}

/// How many clients there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix {
    /// HTTP/1 clients that stay on their connections.
    pub keep_alive: usize,
    /// HTTP/1 clients that make a connection for each request.
    pub fresh: usize,
    /// HTTP/2 connections, each of which [`Self::STREAMS`] clients share.
    pub http2: usize,
    /// gRPC connections, each of which one client with unary calls and one with streams share.
    pub grpc: usize,
    /// WebSocket clients.
    pub web_sockets: usize,
}

// === impl Kind ===

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::KeepAlive,
        Self::Fresh,
        Self::Http2,
        Self::GrpcCall,
        Self::GrpcStream,
        Self::WebSocket,
    ];

    /// As a person would call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::Fresh => "fresh",
            Self::Http2 => "HTTP/2",
            Self::GrpcCall => "gRPC",
            Self::GrpcStream => "gRPC streams",
            Self::WebSocket => "WebSocket",
        }
    }
}

// === impl Mix ===

impl Mix {
    /// How many POSTs are open at a time on an HTTP/2 connection.
    pub const STREAMS: usize = 4;

    /// What the demo and the suites send: every kind, on enough connections that each of three pods
    /// has some, and no more than two cores can bear beside a cluster.
    pub const USUAL: Self = Self {
        keep_alive: 16,
        fresh: 16,
        http2: 4,
        grpc: 4,
        web_sockets: 16,
    };
}
