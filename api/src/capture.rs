//! How inbound connections get to the sidecar: the mode that is asked for, the mode in force, and
//! what lies between the two.
//!
//! Modes form a chain, the most able one first. Where one can't be had a sidecar steps down to one
//! that can, and every step is a [`Step`] of its report: nothing is lowered silently.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How inbound connections reach the sidecar.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Mode {
    /// The pod's inbound TCP is redirected through the relay, by rules that the init step wrote.
    #[default]
    Redirect,
    /// The relay has taken over the ports that the pod's Services name, without a privilege.
    NamedPorts,
    /// No data path: connections are counted, and waited for, as far as the kernel tells of their
    /// sockets. No client is told to leave.
    Observe,
}

impl Mode {
    /// All of them, the most able one first.
    pub const ALL: [Mode; 3] = [Mode::Redirect, Mode::NamedPorts, Mode::Observe];

    /// Its one spelling: on the wire, in logs, status and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Redirect => "Redirect",
            Mode::NamedPorts => "NamedPorts",
            Mode::Observe => "Observe",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is asked for: which mode, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// The mode.
    pub mode: Mode,
    /// The ports that the relay takes over in [`Mode::NamedPorts`]; other modes need none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<NamedPort>,
}

/// A port that the relay takes over from the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedPort {
    /// The relay's port, which Services send clients to: 1024 or higher.
    pub listen: u16,
    /// The app's.
    pub app: u16,
}

/// One thing that keeps a mode from being in force, or from being in force as a whole.
///
/// A step whose mode is not the one in force is a step down from it. One that names the mode in
/// force says what this mode lacks in this pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The mode that this is about.
    pub mode: Mode,
    /// What is wrong with it.
    pub why: Why,
    /// The same for people, with what the kernel said: a sentence without its capital and dot.
    pub detail: String,
}

/// What can be wrong with a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Why {
    /// The init step could not write its rules.
    InitFailed,
    /// The init step left no result in the pod's network namespace: it did not run, or its result
    /// was overwritten.
    InitMissing,
    /// What the init step left cannot be read.
    InitUnreadable,
    /// The kernel does not know the rule that asks whether the app listens, so a weaker one is in
    /// force.
    WeakRule,
    /// A port of the relay is not open.
    PortTaken,
    /// The kernel does not tell of the pod's sockets.
    SocketsUnseen,
    /// No header of the PROXY protocol is written, though one is asked for.
    NoProxyProtocol,
    /// The environment that the webhook wrote is damaged.
    Environment,
    /// To a reader of an older version: what only newer ones know.
    #[serde(other)]
    Unknown,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 9] = [
        Why::InitFailed,
        Why::InitMissing,
        Why::InitUnreadable,
        Why::WeakRule,
        Why::PortTaken,
        Why::SocketsUnseen,
        Why::NoProxyProtocol,
        Why::Environment,
        Why::Unknown,
    ];

    /// Its one spelling: on the wire and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::InitFailed => "InitFailed",
            Why::InitMissing => "InitMissing",
            Why::InitUnreadable => "InitUnreadable",
            Why::WeakRule => "WeakRule",
            Why::PortTaken => "PortTaken",
            Why::SocketsUnseen => "SocketsUnseen",
            Why::NoProxyProtocol => "NoProxyProtocol",
            Why::Environment => "Environment",
            Why::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What people are told of these steps, in their order; `None` if there is none.
pub fn sentence(steps: &[Step]) -> Option<String> {
    let details: Vec<&str> = steps.iter().map(|step| step.detail.as_str()).collect();
    (!details.is_empty()).then(|| details.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A controller of today reads a step of a sidecar of tomorrow.
    #[test]
    fn a_reason_of_a_later_version_is_unknown() {
        let text = r#"{"mode":"Redirect","why":"EclipseOfTheSun","detail":"it is dark"}"#;
        let step: Step = serde_json::from_str(text).unwrap();
        assert_eq!(
            (step.why, step.detail.as_str()),
            (Why::Unknown, "it is dark")
        );
    }

    /// Steps are told in their order, as one sentence.
    #[test]
    fn steps_make_one_sentence() {
        let step = |detail: &str| Step {
            mode: Mode::Redirect,
            why: Why::PortTaken,
            detail: detail.to_owned(),
        };
        assert_eq!(sentence(&[]), None);
        let both = sentence(&[step("one"), step("another")]);
        assert_eq!(both.as_deref(), Some("one; another"));
    }
}
