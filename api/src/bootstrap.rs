//! The bootstrap configuration of a sidecar: written into the pod's spec by the webhook, so that a
//! pod drains by it even if no controller ever speaks to it.

use crate::capture::Wanted;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The bootstrap configuration of a sidecar, as JSON in
/// [`BOOTSTRAP_VARIABLE`](crate::names::BOOTSTRAP_VARIABLE).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The settings in force when the pod was made.
    pub settings: Settings,
    /// The pod's `terminationGracePeriodSeconds` as the webhook left it.
    pub grace_seconds: u32,
    /// The same before the webhook raised it.
    pub original_grace_seconds: u32,
    /// Every hook call must carry this.
    pub token: String,
    /// The id of the key that desired states must be signed with.
    pub key: String,
    /// That key's public half: Ed25519, 32 bytes, in standard base64.
    pub public_key: String,
    /// The app's containers, in the pod's order.
    pub containers: Vec<AppContainer>,
    /// How many init containers the pod has beside ours, sidecars among them: all containers of a
    /// pod share what kubelet keeps of their last words.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub init_containers: u32,
    /// Inbound TCP ports of the app that are left alone: neither relayed nor counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_ports: Vec<u16>,
    /// The app's ports that learn each connection's client by the PROXY protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_protocol_ports: Vec<u16>,
    /// How connections are to reach the sidecar.
    #[serde(default)]
    pub capture: Wanted,
    /// The limits that the webhook gave the sidecar's container, by resource. Others may add to
    /// them, or change them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
    /// A sentence for each resource of which the sidecar's container asks for something else than
    /// was wanted, since a LimitRange admits no more or no less. Nothing goes by it; it is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fitted: Vec<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One of the app's containers, with what Ebb took over from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppContainer {
    /// Its name, which is also that of its hook: `GET /hook/{name}`.
    pub name: String,
    /// TCP ports that it declares; hints only, an app may listen on others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Its probes that look like a client's connection (`tcpSocket` and `grpc`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ConnectingProbe>,
    /// The shortest grace of its liveness and startup probes, in seconds: how long kubelet waits
    /// for it when it restarts this container alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_grace_seconds: Option<u32>,
    /// The container's own preStop hook, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_hook: Option<OwnHook>,
}

/// A probe that opens a connection to the app and cannot be told from a client by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectingProbe {
    /// The port that it connects to.
    pub port: u16,
    /// How often, in seconds.
    pub period_seconds: u32,
    /// What it does there.
    #[serde(default)]
    pub kind: ProbeKind,
}

/// What a [`ConnectingProbe`] does with its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeKind {
    /// It closes it at once: not a byte is sent.
    #[default]
    TcpSocket,
    /// It makes one call of gRPC's health check.
    Grpc,
}

/// A preStop hook that the app brought along and that Ebb now carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum OwnHook {
    /// `sleep`: at least this long passes before the drain can end.
    #[serde(rename_all = "camelCase")]
    Sleep {
        /// In seconds.
        seconds: u32,
    },
    /// `httpGet`: called by the sidecar.
    #[serde(rename_all = "camelCase")]
    HttpGet {
        /// The host to connect to; `None` means the pod itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// The port to connect to.
        port: u16,
        /// Path and query.
        path: String,
        /// Headers, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
        /// True: when the drain begins. False: when it ends.
        #[serde(default)]
        at_start: bool,
    },
}
