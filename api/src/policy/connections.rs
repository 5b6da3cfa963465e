//! What a person writes about connections.

use super::seconds;
use crate::connections::{
    AtTimeout, ConnectionSettings, DEFAULT_IDLE_SECONDS, EventStreams, WebSocketCode, WebSockets,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How connections are treated while the pod leaves. HTTP/1 has no setting: its goodbye rides
/// on the next answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// An opaque connection (TLS, databases) is idle when the app spoke last and no byte has moved
    /// for this long, in seconds: 1 to 3600. Default: 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 3600")
        .message("idleSeconds is the silence that makes an opaque connection idle: 1 to 3600 seconds"))]
    pub idle_seconds: Option<i32>,
    /// The goodbyes to long-lived connections (HTTP/2, WebSocket, event streams, idle opaque ones)
    /// are spread over this long, in seconds: 0 to 3600, and never beyond the timeout. The pod
    /// stays until the last of them is said. Default: 0, all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 3600")
        .message("paceSeconds is the time over which goodbyes are spread: 0 to 3600 seconds"))]
    pub pace_seconds: Option<i32>,
    /// What happens to WebSockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_sockets: Option<WebSockets>,
    /// The code with which WebSockets are closed: 1000 to 1003, 1007 to 1009, 1011 to 1014, or 3000
    /// to 4999. Default: 1012, "service restart".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014] || (self >= 3000 && self <= 4999)")
        .message("webSocketCode is what a server may close a WebSocket with: 1000 to 1003, 1007 to 1009, 1011 to 1014, or 3000 to 4999"))]
    pub web_socket_code: Option<i32>,
    /// What happens to event streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_streams: Option<EventStreams>,
    /// What happens to opaque connections that are in flight at the timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_timeout: Option<AtTimeout>,
}

impl Connections {
    /// Applies the defaults, as [`DrainPolicySpec::resolve`](super::DrainPolicySpec::resolve) does.
    pub(super) fn resolve(&self) -> ConnectionSettings {
        ConnectionSettings {
            idle_seconds: seconds(self.idle_seconds, DEFAULT_IDLE_SECONDS, 1, 3600),
            pace_seconds: seconds(self.pace_seconds, 0, 0, 3600),
            web_sockets: self.web_sockets.unwrap_or_default(),
            web_socket_code: self
                .web_socket_code
                .map_or(WebSocketCode::DEFAULT, |code| i64::from(code).into()),
            event_streams: self.event_streams.unwrap_or_default(),
            at_timeout: self.at_timeout.unwrap_or_default(),
        }
    }
}
