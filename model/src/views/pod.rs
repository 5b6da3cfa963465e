//! A pod, narrowed to what decides about it.

mod imposed;
mod object;

pub use imposed::{Imposed, Imposer};
pub use object::NarrowPod;

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
    /// What made it, if it was not made alone.
    pub owner: Option<Owner>,
    /// What its own label says about injection.
    pub inject: Inject,
    /// Why the webhook left it alone, if it did: one CamelCase word.
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
    /// Its deletion, once it has a deletionTimestamp.
    pub deletion: Option<Deletion>,
    /// Its sidecar, where it was injected.
    pub sidecar: Option<SidecarView>,
}

/// The deletion of a pod, which cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its `deletionGracePeriodSeconds`, which may differ from the pod's own.
    pub grace_seconds: Option<u32>,
}

/// The sidecar of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct SidecarView {
    /// The id of the key in its bootstrap.
    pub key: String,
    /// The settings in its bootstrap.
    pub bootstrap_settings: Settings,
    /// The pod's `terminationGracePeriodSeconds` from before the webhook raised it.
    pub original_grace_seconds: u32,
    /// Whether the pod has the step that writes the redirect rules.
    pub redirect_step: bool,
    /// The containers, in the pod's order, whose own preStop hook stays kubelet's: a drain can't
    /// hold them.
    pub unheld: Vec<String>,
    /// The pod's annotations that Ebb can't use, each with its value and what would be right.
    pub unusable: Vec<String>,
    /// What the webhook says of amounts that are not those that were wanted, since a LimitRange
    /// does not admit them.
    pub fitted: Vec<String>,
    /// Limits of its container that the webhook did not give it.
    pub imposed: Vec<Imposed>,
    /// Whether it runs now.
    pub state: SidecarState,
    /// How often it has been restarted.
    pub restarts: u32,
    /// Its final report, once a start of it has ended with one.
    pub last: Option<Box<FinalReport>>,
    /// It has ended with other words, which nobody can read: why not.
    pub garbled: Option<String>,
}

/// Whether a sidecar runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SidecarState {
    /// It has never run.
    #[default]
    NotStarted,
    /// It runs now.
    Running,
    /// It ran, and does not run now.
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
mod tests;
