//! A pod as the controller keeps it.

use ebb_api::desired::Leave;
use ebb_api::names::Inject;
use ebb_api::report::FinalReport;
use ebb_api::settings::Settings;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A pod, narrowed to what decides about it.
#[derive(Clone, Debug, PartialEq)]
pub struct PodView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What made it, if anything did.
    pub owner: Option<Owner>,
    /// What its own label says about injection.
    pub inject: Inject,
    /// Why the webhook left it alone, where it said so: one CamelCase word.
    pub refused: Option<String>,
    /// Whether it uses its node's network, where a redirect would hit everybody.
    pub host_network: bool,
    /// Whether all of its containers have ended for good (phase Succeeded or Failed).
    pub finished: bool,
    /// Whether its condition Ready is true.
    pub ready: bool,
    /// Its `terminationGracePeriodSeconds`.
    pub grace_seconds: u32,
    /// Its first IP, once it has one.
    pub ip: Option<IpAddr>,
    /// Set from the moment that the pod has a deletionTimestamp.
    pub leave: Option<Leave>,
    /// Its sidecar, where it was injected.
    pub sidecar: Option<SidecarView>,
}

/// The sidecar of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct SidecarView {
    /// The id of the key that it was born with.
    pub key: String,
    /// The settings that it was born with.
    pub bootstrap_settings: Settings,
    /// The pod's `terminationGracePeriodSeconds` from before the webhook raised it.
    pub original_grace_seconds: u32,
    /// Whether the pod has the step that writes the redirect rules.
    pub redirect_step: bool,
    /// The containers, in the pod's order, whose own preStop hook only kubelet can carry out: a
    /// drain can't hold them.
    pub unheld: Vec<String>,
    /// Whether it runs now.
    pub state: SidecarState,
    /// How often it has been restarted.
    pub restarts: u32,
    /// Its last words, once a start of it has ended with some.
    pub last: Option<Box<FinalReport>>,
}

/// Whether a sidecar runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SidecarState {
    /// It has never run.
    #[default]
    NotStarted,
    /// It runs now.
    Running,
    /// It ran, and does not now.
    Ended,
}

/// The controller of a pod: what a person rolls out to have its pods replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ebb_api::phase::Trigger;

    /// A serving pod of the Deployment `web` with the label `app: web` and no sidecar.
    pub(crate) fn pod(name: &str) -> PodView {
        PodView {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
            created: Timestamp::UNIX_EPOCH,
            labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            owner: Some(Owner {
                kind: "Deployment".to_owned(),
                name: "web".to_owned(),
            }),
            inject: Inject::Unset,
            refused: None,
            host_network: false,
            finished: false,
            ready: true,
            grace_seconds: 30,
            ip: Some(IpAddr::from([198, 19, 1, 7])),
            leave: None,
            sidecar: None,
        }
    }

    /// The same with a running sidecar, born without a policy.
    pub(crate) fn injected(name: &str) -> PodView {
        PodView {
            grace_seconds: 335,
            sidecar: Some(SidecarView {
                key: "k1".to_owned(),
                bootstrap_settings: Settings::without_policy(),
                original_grace_seconds: 30,
                redirect_step: true,
                unheld: Vec::new(),
                state: SidecarState::Running,
                restarts: 0,
                last: None,
            }),
            ..pod(name)
        }
    }

    /// The same, deleted.
    pub(crate) fn leaving(name: &str) -> PodView {
        PodView {
            leave: Some(Leave {
                trigger: Trigger::Deleted,
                grace_seconds: Some(335),
            }),
            ..injected(name)
        }
    }
}
