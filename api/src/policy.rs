//! The DrainPolicy: what a person writes.
//!
//! Integers in seconds, as in the pod API; no defaults are written into the object, they are
//! applied when the policy is [resolved](DrainPolicySpec::resolve). Every rule has a sentence of
//! its own, which `kubectl apply` shows.

mod connections;
mod corrected;

use crate::capture::CaptureMode;
use crate::selector::Selector;
use crate::settings::{
    DEFAULT_HTTP1_IDLE_SECONDS, DEFAULT_MAX_SECONDS, DEFAULT_QUIET_SECONDS,
    DEFAULT_TIMEOUT_SECONDS, DeregistrationSettings, Settings,
};
use crate::status::DrainPolicyStatus;
pub use connections::Connections;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// How the pods of a workload leave: they get no new work, finish what they have begun, and are
/// stopped when it is done or the timeout expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "ebb.dev",
    version = "v1alpha1",
    kind = "DrainPolicy",
    plural = "drainpolicies",
    shortname = "dp",
    category = "ebb",
    namespaced,
    status = "DrainPolicyStatus",
    doc = "Connection draining for the pods that it selects.",
    printcolumn = r#"{"name":"Enabled","type":"boolean","jsonPath":".status.inForce.enabled","description":"False: Ebb stands aside."}"#,
    printcolumn = r#"{"name":"Timeout","type":"integer","jsonPath":".status.inForce.timeoutSeconds","description":"The longest drain, in seconds."}"#,
    printcolumn = r#"{"name":"Targets","type":"integer","jsonPath":".status.targets.selected","description":"Pods that the policy selects."}"#,
    printcolumn = r#"{"name":"Protected","type":"string","jsonPath":".status.conditions[?(@.type==\"Protected\")].reason","description":"Whether all of them can drain, or why not."}"#,
    printcolumn = r#"{"name":"Leaving","type":"integer","jsonPath":".status.targets.leaving","description":"Pods that are draining now."}"#,
    printcolumn = r#"{"name":"Cut","type":"integer","jsonPath":".status.totals.connectionsCut","description":"Requests and connections cut at a timeout so far."}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether the policy is in force."}"#,
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".status.inForce.mode","priority":1,"description":"How connections reach the sidecar."}"#,
    printcolumn = r#"{"name":"Last","type":"string","jsonPath":".status.recent[0].result","priority":1,"description":"How the last drain ended."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct DrainPolicySpec {
    /// The pods of this namespace that the policy is for. Where two policies select a pod, the
    /// oldest is in force.
    pub selector: Selector,

    /// False: Ebb stands aside. Hooks return at once, nothing is closed, and no client gets a
    /// goodbye. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// The longest drain, from the signal until the app gets SIGTERM, in seconds: 1 to 3600. What
    /// is still in flight then is cut, and counted. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 3600")
        .message("timeoutSeconds is the longest drain: 1 to 3600 seconds. To have none, set enabled: false"))]
    pub timeout_seconds: Option<i32>,

    /// When a leaving pod stops accepting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregistration: Option<Deregistration>,

    /// The least time that the app gets after SIGTERM, in seconds: 0 to 3600. Default: the pod's
    /// own terminationGracePeriodSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 3600")
        .message("shutdownSeconds is the time the app gets after SIGTERM: 0 to 3600 seconds"))]
    pub shutdown_seconds: Option<i32>,

    /// How connections other than HTTP/1's are treated while the pod leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,

    /// How connections reach the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
}

/// The lame-duck phase of a leaving pod: it still accepts, since load balancers go on sending for a
/// while, and asks clients to move on. It ends when minSeconds have passed, the endpoints are gone
/// and no new work has arrived for quietSeconds; at the latest at maxSeconds or the policy's
/// timeout, whichever is smaller. It can last beyond maxSeconds where no other endpoint of the
/// pod's Services is ready, and where clients find it by DNS alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.minSeconds) ? self.minSeconds : 0) <= (has(self.maxSeconds) ? self.maxSeconds : 30)")
    .message("minSeconds must not be larger than maxSeconds (30 when not set)"))]
pub struct Deregistration {
    /// Its least length, in seconds: 0 to 3600. Set it to the time that a load balancer
    /// outside the cluster needs to notice. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 3600")
        .message("minSeconds is the least length of the lame-duck phase: 0 to 3600 seconds"))]
    pub min_seconds: Option<i32>,
    /// It ends when no new work has arrived for this long, in seconds: 0 to 300. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 300")
        .message("quietSeconds is how long no new work must have come: 0 to 300 seconds"))]
    pub quiet_seconds: Option<i32>,
    /// How long a pod that accepts no new connection waits for idle HTTP/1 clients, in seconds: 0
    /// to 300. They get their goodbye with the next answer; a client is expected back within three
    /// times its own longest pause so far. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 300")
        .message("idleSeconds is how long idle HTTP/1 clients are waited for: 0 to 300 seconds"))]
    pub idle_seconds: Option<i32>,
    /// Its greatest length, in seconds: 0 to 3600. It can last longer where no other endpoint is
    /// ready, or where clients find the pod by DNS alone. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 3600")
        .message("maxSeconds is the greatest length of the lame-duck phase: 0 to 3600 seconds"))]
    pub max_seconds: Option<i32>,
}

/// How connections reach the sidecar. Read when a pod is made: a change takes effect as pods are
/// replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.excludePorts) || !has(self.proxyProtocolPorts) || self.proxyProtocolPorts.all(port, !(port in self.excludePorts))")
    .message("a port of excludePorts does not pass the sidecar, so it can't be one of proxyProtocolPorts"))]
pub struct Capture {
    /// The mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CaptureMode>,

    /// Inbound TCP ports, 1 to 65535, that do not pass the sidecar. Connections to them are neither
    /// counted nor waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.all(port, port >= 1 && port <= 65535)")
        .message("excludePorts are TCP ports: 1 to 65535"))]
    pub exclude_ports: Vec<i32>,

    /// TCP ports of the app, 1 to 65535, that speak the PROXY protocol, version 2: each connection
    /// begins with a header that names its client. Only for ports that also accept connections
    /// without one, or that all connections reach through the sidecar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.all(port, port >= 1 && port <= 65535)")
        .message("proxyProtocolPorts are TCP ports: 1 to 65535"))]
    pub proxy_protocol_ports: Vec<i32>,
}

impl DrainPolicySpec {
    /// Applies the defaults.
    ///
    /// Numbers out of range, which only an API server without Ebb's rules lets through, are moved
    /// to the nearest end of their range.
    pub fn resolve(&self, policy: &str) -> Settings {
        let deregistration = self.deregistration.clone().unwrap_or_default();
        Settings {
            policy: Some(policy.to_owned()),
            enabled: self.enabled.unwrap_or(true),
            timeout_seconds: seconds(self.timeout_seconds, DEFAULT_TIMEOUT_SECONDS, 1, 3600),
            deregistration: DeregistrationSettings {
                min_seconds: seconds(deregistration.min_seconds, 0, 0, 3600),
                quiet_seconds: seconds(deregistration.quiet_seconds, DEFAULT_QUIET_SECONDS, 0, 300),
                idle_seconds: seconds(
                    deregistration.idle_seconds,
                    DEFAULT_HTTP1_IDLE_SECONDS,
                    0,
                    300,
                ),
                max_seconds: seconds(deregistration.max_seconds, DEFAULT_MAX_SECONDS, 0, 3600),
            },
            connections: self.connections.clone().unwrap_or_default().resolve(),
            shutdown_seconds: self
                .shutdown_seconds
                .map(|value| value.clamp(0, 3600).unsigned_abs()),
        }
    }

    /// Whether it names the least length of the lame-duck phase, be it the default.
    pub fn names_min_seconds(&self) -> bool {
        let deregistration = self.deregistration.as_ref();
        deregistration.is_some_and(|it| it.min_seconds.is_some())
    }

    /// How connections are to reach the sidecar, with defaults applied. Numbers that are not ports
    /// are left out.
    pub fn resolve_capture(&self) -> CaptureSettings {
        let capture = self.capture.as_ref();
        CaptureSettings {
            mode: capture.and_then(|it| it.mode).unwrap_or_default(),
            exclude_ports: ports(capture.map(|it| &it.exclude_ports)),
            proxy_protocol_ports: ports(capture.map(|it| &it.proxy_protocol_ports)),
        }
    }
}

/// The value or its default, clamped to the range.
fn seconds(value: Option<i32>, default: u32, least: i32, most: i32) -> u32 {
    value.map_or(default, |value| value.clamp(least, most).unsigned_abs())
}

/// How connections reach the sidecars of the pods that are made from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureSettings {
    /// The mode that is asked for.
    pub mode: CaptureMode,
    /// TCP ports of the app that do not pass the sidecar.
    pub exclude_ports: Vec<u16>,
    /// Those that learn each connection's client by the PROXY protocol.
    pub proxy_protocol_ports: Vec<u16>,
}

fn ports(numbers: Option<&Vec<i32>>) -> Vec<u16> {
    let numbers = numbers.into_iter().flatten();
    let ports = numbers.filter_map(|number| u16::try_from(*number).ok());
    ports.filter(|port| *port != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{
        AtTimeout, ConnectionSettings, EventStreams, WebSocketCode, WebSockets,
    };

    /// A policy that names nothing but pods gets what the documentation promises.
    #[test]
    fn defaults_are_those_of_the_documentation() {
        let spec: DrainPolicySpec = serde_json::from_str(r#"{"selector":{}}"#).unwrap();
        let settings = spec.resolve("web");
        assert_eq!(settings.policy.as_deref(), Some("web"));
        assert!(settings.enabled);
        assert_eq!(settings.timeout_seconds, 300);
        assert_eq!(settings.deregistration.min_seconds, 0);
        assert_eq!(settings.deregistration.quiet_seconds, 2);
        assert_eq!(settings.deregistration.idle_seconds, 5);
        assert_eq!(settings.deregistration.max_seconds, 30);
        assert_eq!(settings.connections, ConnectionSettings::default());
        assert_eq!(settings.connections.idle_seconds, 15);
        assert_eq!(settings.connections.pace_seconds, 0);
        assert_eq!(settings.shutdown_seconds, None);
    }

    /// What a policy says about connections is what a sidecar acts on.
    #[test]
    fn words_on_connections_are_resolved() {
        let spec: DrainPolicySpec = serde_json::from_str(
            r#"{"selector":{},"connections":{"idleSeconds":60,"paceSeconds":30,
                "webSockets":"Wait","webSocketCode":1001,"eventStreams":"End",
                "atTimeout":"Handover"}}"#,
        )
        .unwrap();
        let expected = ConnectionSettings {
            idle_seconds: 60,
            pace_seconds: 30,
            web_sockets: WebSockets::Wait,
            web_socket_code: WebSocketCode::from(1001),
            event_streams: EventStreams::End,
            at_timeout: AtTimeout::Handover,
        };
        assert_eq!(spec.resolve("web").connections, expected);
    }

    /// No number that reaches us can overflow or turn negative.
    #[test]
    fn numbers_out_of_range_move_to_the_nearest_end() {
        let spec: DrainPolicySpec = serde_json::from_str(
            r#"{"selector":{},"timeoutSeconds":-5,"shutdownSeconds":2147483647,
                "deregistration":{"idleSeconds":301},
                "connections":{"idleSeconds":0,"paceSeconds":-1,"webSocketCode":1006},
                "capture":{"excludePorts":[-1,0,70000,8080],"proxyProtocolPorts":[65536,5432]}}"#,
        )
        .unwrap();
        let settings = spec.resolve("web");
        assert_eq!(settings.timeout_seconds, 1);
        assert_eq!(settings.shutdown_seconds, Some(3600));
        assert_eq!(settings.deregistration.idle_seconds, 300);
        assert_eq!(settings.connections.idle_seconds, 1);
        assert_eq!(settings.connections.pace_seconds, 0);
        assert_eq!(settings.connections.web_socket_code, WebSocketCode::DEFAULT);
        let capture = spec.resolve_capture();
        assert_eq!(
            (capture.exclude_ports, capture.proxy_protocol_ports),
            (vec![8080], vec![5432])
        );
    }
}
