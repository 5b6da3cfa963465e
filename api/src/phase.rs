//! How far a pod has come on its way out, why it goes, and how it ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a pod has come on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// In service.
    #[default]
    Serving,
    /// Lame duck: accepts and serves, and tells every client to move on.
    Deregistering,
    /// Accepts nothing new; what has begun goes on.
    Draining,
    /// The hooks are released. The app may be shutting down; its last bytes are still relayed.
    Ended,
}

/// Why a pod leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Trigger {
    /// The pod has a deletionTimestamp: delete, eviction, rollout, scale-in or node drain.
    Deleted,
    /// Kubelet ends the pod without one: node shutdown, node-pressure eviction,
    /// activeDeadlineSeconds.
    Terminating,
    /// Kubelet restarts the app's container; the pod stays.
    ContainerRestart,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Outcome {
    /// All that was in flight finished, or was given up by its client.
    Drained,
    /// The app broke off some of what was in flight, by a crash or an end of its own; nothing was
    /// left when the hooks were released.
    Broken,
    /// The deadline came first; what was left was cut, and counted.
    TimedOut,
    /// The pod went back to serving.
    Cancelled,
    /// The policy is disabled, or there is none: nothing was held and nobody was told to leave.
    Skipped,
    /// The grace period, or the process, ended first.
    Killed,
}

impl Phase {
    /// All of them, in the order in which a drain passes them.
    pub const ALL: [Phase; 4] = [
        Phase::Serving,
        Phase::Deregistering,
        Phase::Draining,
        Phase::Ended,
    ];

    /// Its one spelling: on the wire, in logs, Events, status and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Serving => "Serving",
            Phase::Deregistering => "Deregistering",
            Phase::Draining => "Draining",
            Phase::Ended => "Ended",
        }
    }
}

impl Trigger {
    /// All of them.
    pub const ALL: [Trigger; 3] = [
        Trigger::Deleted,
        Trigger::Terminating,
        Trigger::ContainerRestart,
    ];

    /// Its one spelling: on the wire, in logs, Events, status and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trigger::Deleted => "Deleted",
            Trigger::Terminating => "Terminating",
            Trigger::ContainerRestart => "ContainerRestart",
        }
    }
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 6] = [
        Outcome::Drained,
        Outcome::Broken,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Skipped,
        Outcome::Killed,
    ];

    /// Its one spelling: on the wire, in logs, Events, status and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Drained => "Drained",
            Outcome::Broken => "Broken",
            Outcome::TimedOut => "TimedOut",
            Outcome::Cancelled => "Cancelled",
            Outcome::Skipped => "Skipped",
            Outcome::Killed => "Killed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Mode, Why};
    use crate::report::Protocol;

    fn on_the_wire(value: impl Serialize) -> String {
        let value = serde_json::to_value(value).unwrap();
        value.as_str().unwrap().to_owned()
    }

    /// Each word has one spelling, whoever writes it. They are a contract: dashboards, alerts and
    /// `kubectl` columns name them, and a renamed variant must not change one unseen.
    #[test]
    fn words_have_one_spelling() {
        let phases = ["Serving", "Deregistering", "Draining", "Ended"];
        assert_eq!(Phase::ALL.map(Phase::as_str), phases);
        assert_eq!(Phase::ALL.map(on_the_wire), phases);
        let triggers = ["Deleted", "Terminating", "ContainerRestart"];
        assert_eq!(Trigger::ALL.map(Trigger::as_str), triggers);
        assert_eq!(Trigger::ALL.map(on_the_wire), triggers);
        let outcomes = [
            "Drained",
            "Broken",
            "TimedOut",
            "Cancelled",
            "Skipped",
            "Killed",
        ];
        assert_eq!(Outcome::ALL.map(Outcome::as_str), outcomes);
        assert_eq!(Outcome::ALL.map(on_the_wire), outcomes);
        let modes = ["Transparent", "Redirect", "NamedPorts", "Observe"];
        assert_eq!(Mode::ALL.map(Mode::as_str), modes);
        assert_eq!(Mode::ALL.map(on_the_wire), modes);
        let reasons = [
            "InitFailed",
            "InitMissing",
            "InitUnreadable",
            "RulesRefused",
            "WeakRule",
            "NoCapability",
            "NoNamedPorts",
            "PortTaken",
            "SocketsUnseen",
            "OwnAddress",
            "NoProxyProtocol",
            "Environment",
            "Unknown",
        ];
        assert_eq!(Why::ALL.map(Why::as_str), reasons);
        assert_eq!(Why::ALL.map(on_the_wire), reasons);
        let protocols = [
            "Http1",
            "Http2",
            "WebSocket",
            "Opaque",
            "Tls",
            "EventStream",
        ];
        assert_eq!(Protocol::ALL.map(Protocol::as_str), protocols);
        assert_eq!(Protocol::ALL.map(on_the_wire), protocols);
    }
}
