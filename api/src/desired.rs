//! What the controller wants of a sidecar: level-triggered, signed, the newest revision wins.

use crate::phase::Trigger;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// The body of `PUT /v1/desired`.
///
/// It states a level, never an edge: losing one, repeating one or sending one late changes nothing
/// in the end. It adds knowledge, never permission: without it the hooks alone drain the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Desired {
    /// The UID of the pod that it is for. Any other pod refuses it.
    pub pod: String,
    /// The start of the sidecar that it is for: [`Report::boot`](crate::report::Report::boot).
    pub boot: String,
    /// Higher than any revision that this sidecar has accepted.
    pub revision: Revision,
    /// The settings in force.
    pub settings: Settings,
    /// Whether the pod is to leave, and why. `None` cancels a drain that only a person or the
    /// controller began. It never cancels one that kubelet began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<Leave>,
    /// What the pod's EndpointSlices say.
    pub endpoints: Endpoints,
}

/// The place of a desired state in time: who wrote it, then which one it was.
///
/// Compared in the order of its parts, so every state of a later leader is newer than all of an
/// earlier one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision {
    /// The term of the leader that wrote it: how often the leadership had changed hands.
    pub term: u64,
    /// Counts the states that this leader wrote.
    pub sequence: u64,
}

impl Revision {
    /// Of a leader's term, the state with this number.
    pub const fn new(term: u64, sequence: u64) -> Self {
        Self { term, sequence }
    }
}

/// A pod is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Leave {
    /// Why.
    pub trigger: Trigger,
    /// The grace that the deletion gives, in seconds (`metadata.deletionGracePeriodSeconds`), where
    /// it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
}

/// What the EndpointSlices of the pod say, worst slice first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Endpoints {
    /// Some slice still sends new connections here, or it is not known.
    #[default]
    Present,
    /// In no slice is it ready: absent, or terminating, or not ready.
    Gone,
    /// Nor serving, so not even the fallback to terminating endpoints sends anything here.
    NotServing,
}

/// The answer to a desired state whose revision was not higher than the present one, or whose boot
/// was not this one: HTTP 409. Nothing has changed; put again with a higher revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The sidecar's present start.
    pub boot: String,
    /// The highest revision that it has accepted.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A later leader's first word beats an earlier leader's last.
    #[test]
    fn orders_compare_leaders_before_counters() {
        assert!(Revision::new(2, 0) > Revision::new(1, 900));
        assert!(Revision::new(2, 1) > Revision::new(2, 0));
    }
}
