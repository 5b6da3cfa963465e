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
    /// How the clients of a leaving pod's Services fare. Left out where nothing is peculiar, so
    /// that a sidecar from before this field misses no other word.
    #[serde(default, skip_serializing_if = "Services::are_ordinary")]
    pub services: Services,
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

/// How the clients of a leaving pod's Services fare, where they can't simply be sent elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Services {
    /// A Service that names the pod and has no other endpoint that is ready and stays: whoever is
    /// refused here is served by nobody. The first of them by name, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_in: Option<String>,
    /// For how long after the endpoints are gone clients may come by the answer of DNS that they
    /// have, in seconds. `None` where some Service has an address of its own, which new connections
    /// of its clients are led away from at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_seconds: Option<u32>,
}

impl Services {
    /// Whether the pod's clients find others, and at once.
    pub fn are_ordinary(&self) -> bool {
        *self == Services::default()
    }
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
    /// That state, where the one that was refused is of an earlier term: proof that a later leader
    /// has been there, since nobody but a controller can sign one. Whoever answers at a pod's
    /// address can claim any revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Signed>,
}

/// A desired state as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// The body, in JSON.
    pub body: String,
    /// Its signature by the key that the pod was born with: Ed25519, in standard base64.
    pub signature: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not peculiar is not said, and what is said is read back.
    #[test]
    fn ordinary_services_are_not_mentioned() {
        let desired = |services: &Services| Desired {
            pod: "p1".to_owned(),
            boot: "b1".to_owned(),
            revision: Revision::default(),
            settings: Settings::without_policy(),
            leave: None,
            endpoints: Endpoints::Gone,
            services: services.clone(),
        };
        let ordinary = Services::default();
        let alone = Services {
            alone_in: Some("web".to_owned()),
            dns_seconds: Some(30),
        };
        for (services, mentioned) in [(ordinary, false), (alone, true)] {
            let said = serde_json::to_string(&desired(&services)).unwrap();
            assert_eq!(said.contains("services"), mentioned, "{said}");
            let read: Desired = serde_json::from_str(&said).unwrap();
            assert_eq!(read.services, services);
        }
    }

    /// A later leader's first word beats an earlier leader's last.
    #[test]
    fn orders_compare_leaders_before_counters() {
        assert!(Revision::new(2, 0) > Revision::new(1, 900));
        assert!(Revision::new(2, 1) > Revision::new(2, 0));
    }
}
