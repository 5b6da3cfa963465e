//! How connections other than HTTP/1's are treated: the settings with every default applied, and
//! the enums that a policy spells them with.

mod code;

pub use code::WebSocketCode;
use serde::{Deserialize, Serialize};

/// The silence that makes an opaque connection idle where the policy names none, in seconds: the
/// app may have more to say (a second result set, the next chunk of a stream), and 15 s is where
/// the applications that were looked at place their own heartbeats.
pub const DEFAULT_IDLE_SECONDS: u32 = 15;

/// How connections are treated while the pod leaves.
///
/// A field that a message lacks, because the sender does not know it yet, has its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionSettings {
    /// An opaque connection is idle when the app spoke last and no byte has moved for this long, in
    /// seconds.
    pub idle_seconds: u32,
    /// The goodbyes to long-lived connections are spread over this long, in seconds.
    pub pace_seconds: u32,
    /// What happens to WebSockets.
    pub web_sockets: WebSockets,
    /// The code with which they are closed.
    pub web_socket_code: WebSocketCode,
    /// What happens to event streams.
    pub event_streams: EventStreams,
    /// What happens to opaque connections that are in flight at the timeout.
    pub at_timeout: AtTimeout,
}

/// What happens to WebSockets while the pod leaves. Goodbye: they are closed between two messages.
/// Wait: they are waited for until the timeout, and closed then. Default: Goodbye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum WebSockets {
    /// They are closed between two messages.
    #[default]
    Goodbye,
    /// They are waited for until the timeout.
    Wait,
}

/// What happens to event streams (text/event-stream) while the pod leaves. Wait: they are waited
/// for as any answer is. End: they are ended between two events, and their clients connect again by
/// themselves. Default: Wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum EventStreams {
    /// They are waited for until the timeout, as any answer is.
    #[default]
    Wait,
    /// They are ended between two events; their clients connect again by themselves.
    End,
}

/// What happens to opaque connections (TLS, databases) that are in flight at the timeout. Close:
/// they are closed. Reset: they are reset on both sides. Handover: their bytes flow on through the
/// app's own shutdown, until it or the client closes. Default: Close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum AtTimeout {
    /// They are closed.
    #[default]
    Close,
    /// They are reset on both sides.
    Reset,
    /// Their bytes flow on through the app's own shutdown, until it or the client closes.
    Handover,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        ConnectionSettings {
            idle_seconds: DEFAULT_IDLE_SECONDS,
            pace_seconds: 0,
            web_sockets: WebSockets::default(),
            web_socket_code: WebSocketCode::DEFAULT,
            event_streams: EventStreams::default(),
            at_timeout: AtTimeout::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words are those of the policy, and what is left out has its default.
    #[test]
    fn words_are_those_of_the_policy() {
        let settings = ConnectionSettings {
            pace_seconds: 30,
            web_sockets: WebSockets::Wait,
            at_timeout: AtTimeout::Handover,
            ..ConnectionSettings::default()
        };
        assert_eq!(
            serde_json::to_string(&settings).unwrap(),
            r#"{"idleSeconds":15,"paceSeconds":30,"webSockets":"Wait","webSocketCode":1012,"eventStreams":"Wait","atTimeout":"Handover"}"#
        );
        let said = r#"{"paceSeconds":30,"webSockets":"Wait","atTimeout":"Handover"}"#;
        assert_eq!(
            serde_json::from_str::<ConnectionSettings>(said).unwrap(),
            settings
        );
    }
}
