//! Who holds a drain: the oldest of what is in flight, each with what can be known of it from
//! outside.
//!
//! A holder has no path and no header. Both may hold secrets (tokens, names), which would then
//! stand in logs, statuses and Events that more people read than the app's own; and the relay looks
//! at messages only to find where they end.

use super::Protocol;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// How many are named at most.
pub const HOLDERS: usize = 5;

/// A connection on which something is in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The client's address and port as its connection shows them: those of a gateway, where the
    /// client is behind one.
    pub client: SocketAddr,
    /// The app's port.
    pub port: u16,
    /// What flows there.
    pub protocol: Protocol,
    /// How many requests are in flight on it; 1 where there are no requests.
    pub in_flight: u64,
    /// The age of the oldest of those, in milliseconds.
    pub age_ms: u64,
    /// Bytes that the client has sent since the connection was last at rest; where the connection
    /// does not pass the relay, since it was made.
    pub received: u64,
    /// Bytes that the app has sent since then.
    pub sent: u64,
    /// Whose turn it is.
    pub waits_for: WaitsFor,
}

/// What something in flight waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitsFor {
    /// The app: its answer or the rest of it, or that it takes what the client has sent. On HTTP/2,
    /// of whose streams no more is followed, it may be the client as well.
    App,
    /// The client: it does not take what the app has sent.
    Client,
    /// The client: its request is not complete.
    Request,
    /// Nobody speaks: an opaque connection on which the app spoke last, or only the client speaks,
    /// is idle after a silence.
    Silence,
    /// One of the two sides to end it: a WebSocket, an event stream.
    End,
}

impl WaitsFor {
    /// Its one spelling: on the wire and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            WaitsFor::App => "App",
            WaitsFor::Client => "Client",
            WaitsFor::Request => "Request",
            WaitsFor::Silence => "Silence",
            WaitsFor::End => "End",
        }
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A list of holders, of which a newer sidecar may say what this reader does not know: those are
/// left out, and no more than [`HOLDERS`] are taken in.
pub(super) fn known<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Holder>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Known(Holder),
        Other(IgnoredAny),
    }
    let said: Vec<Said> = Vec::deserialize(reader)?;
    let known = said.into_iter().filter_map(|said| match said {
        Said::Known(holder) => Some(holder),
        Said::Other(IgnoredAny) => None,
    });
    Ok(known.take(HOLDERS).collect())
}
