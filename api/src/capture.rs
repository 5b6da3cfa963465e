//! How inbound connections get to the sidecar: the mode that is asked for, the mode in force, and
//! what lies between the two.
//!
//! Modes form a chain, the most able one first. Where one can't be had a sidecar steps down to one
//! that can, and every step is a [`Step`] of its report: nothing is lowered silently.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How inbound connections reach the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// The kernel hands the pod's inbound TCP to the relay under its own addresses, by rules that
    /// the init step wrote, and the app sees its clients' own addresses.
    Transparent,
    /// The pod's inbound TCP is redirected through the relay, by rules that the init step wrote;
    /// the app sees the pod's own address.
    Redirect,
    /// The relay has taken over the ports that the pod's Services name, without a privilege.
    NamedPorts,
    /// No data path: connections are counted, and waited for, as far as the kernel tells of their
    /// sockets. No client is told to leave.
    Observe,
}

impl Mode {
    /// All of them, the most able one first.
    pub const ALL: [Mode; 4] = [
        Mode::Transparent,
        Mode::Redirect,
        Mode::NamedPorts,
        Mode::Observe,
    ];

    /// Its one spelling: on the wire, in logs, status and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Transparent => "Transparent",
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

impl Mode {
    /// Whether it stands on rules that the init step writes, which takes the capability NET_ADMIN.
    pub const fn stands_on_rules(self) -> bool {
        match self {
            Mode::Transparent | Mode::Redirect => true,
            Mode::NamedPorts | Mode::Observe => false,
        }
    }
}

/// The mode that a policy asks for. Auto: the first that can be had of Transparent, Redirect and
/// Observe. Transparent: the app sees its clients' own addresses. Redirect: it sees the pod's own.
/// NamedPorts: the sidecar takes over the names of the pod's ports, without any privilege. Observe:
/// connections do not pass the sidecar, which only waits for them. Default: Auto.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum CaptureMode {
    /// The first that can be had.
    #[default]
    Auto,
    /// [`Mode::Transparent`] and no other.
    Transparent,
    /// [`Mode::Redirect`] and no other.
    Redirect,
    /// [`Mode::NamedPorts`] and no other.
    NamedPorts,
    /// [`Mode::Observe`].
    Observe,
}

impl CaptureMode {
    /// The modes that a pod is to try, in this order. Without `rules` the init step may not run in
    /// the pod, so none that stands on it can be had.
    pub fn chain(self, rules: Rules) -> Vec<Mode> {
        let chain: &[Mode] = match self {
            CaptureMode::Auto => &[Mode::Transparent, Mode::Redirect],
            CaptureMode::Transparent => &[Mode::Transparent],
            CaptureMode::Redirect => &[Mode::Redirect],
            CaptureMode::NamedPorts => &[Mode::NamedPorts],
            CaptureMode::Observe => &[],
        };
        let can_be_had = |mode: &Mode| rules == Rules::Permitted || !mode.stands_on_rules();
        chain.iter().copied().filter(can_be_had).collect()
    }
}

/// Whether the init step may run in a pod: the chart wants it, and no Pod Security level forbids
/// the capability NET_ADMIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// It may.
    Permitted,
    /// It may not.
    Forbidden,
}

/// What is asked for: which modes, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// The modes to try, in this order. Where none of them can be had, connections are observed.
    pub modes: Vec<Mode>,
    /// The ports that the relay takes over in [`Mode::NamedPorts`]; other modes need none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<NamedPort>,
}

impl Wanted {
    /// This mode and no other.
    pub fn only(mode: Mode) -> Wanted {
        Wanted {
            modes: vec![mode],
            ports: Vec::new(),
        }
    }

    /// Whether one of the modes stands on rules of the init step.
    pub fn needs_init(&self) -> bool {
        self.modes.iter().any(|mode| mode.stands_on_rules())
    }
}

impl Default for Wanted {
    /// All that need no more than the init step.
    fn default() -> Wanted {
        Wanted {
            modes: CaptureMode::Auto.chain(Rules::Permitted),
            ports: Vec::new(),
        }
    }
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
    /// The kernel does not take the rules of the mode.
    RulesRefused,
    /// The kernel does not know the rule that asks whether the app listens, so a weaker one is in
    /// force.
    WeakRule,
    /// The sidecar runs without the capability that the mode needs.
    NoCapability,
    /// None of the pod's ports has a name that the relay could take over.
    NoNamedPorts,
    /// A port of the relay is not open.
    PortTaken,
    /// The kernel does not tell of the pod's sockets.
    SocketsUnseen,
    /// The app takes no connections but those to the pod's own address at some port, and sees that
    /// address in place of its clients' there.
    OwnAddress,
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
    pub const ALL: [Why; 13] = [
        Why::InitFailed,
        Why::InitMissing,
        Why::InitUnreadable,
        Why::RulesRefused,
        Why::WeakRule,
        Why::NoCapability,
        Why::NoNamedPorts,
        Why::PortTaken,
        Why::SocketsUnseen,
        Why::OwnAddress,
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
            Why::RulesRefused => "RulesRefused",
            Why::WeakRule => "WeakRule",
            Why::NoCapability => "NoCapability",
            Why::NoNamedPorts => "NoNamedPorts",
            Why::PortTaken => "PortTaken",
            Why::SocketsUnseen => "SocketsUnseen",
            Why::OwnAddress => "OwnAddress",
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
