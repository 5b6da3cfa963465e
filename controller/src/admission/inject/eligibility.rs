//! Who is injected.
//!
//! A pod whose own or whose namespace's label asks for it, or that a policy selects. `disabled`
//! always wins, on the pod as on the namespace: whoever is responsible for either can keep Ebb out.

use super::reinvocation::EarlierPass;
use super::volume::NO_TOKEN_VOLUME;
use crate::admission::pod::ReviewedPod;
use ebb_api::names::{ADMIN_PORT, CONTAINERS, HOLD_CONTAINER, Inject, REFUSAL_PORT, RELAY_PORT};

/// Annotation that kubelet puts on the API server's copy of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// What becomes of a pod under admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eligibility {
    /// It gets the sidecar.
    Inject,
    /// It should get the sidecar, and can't.
    Refuse(Refusal),
    /// It was not asked for, or must not be touched.
    Skip(SkipReason),
}

/// Why a pod that should get the sidecar can't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It uses its node's network: a redirect would affect all that runs there, and kubelet's hooks
    /// would reach whichever pod has the port.
    HostNetwork,
    /// It runs on Windows.
    Windows,
    /// One of its containers has one of our ports.
    PortTaken,
    /// One of its containers or volumes has one of our names.
    NameTaken,
    /// The LimitRanges of the namespace admit no container of ours beside its own.
    LimitRange,
}

/// Why a pod stays as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// No label asks for the sidecar and no policy selects the pod.
    NotAsked,
    /// The pod's or the namespace's label says `disabled`.
    OptedOut,
    /// The API server's copy of a static pod: kubelet runs another one, from a file.
    Mirror,
}

/// What the namespace and the policies say about a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The namespace's label.
    pub namespace: Inject,
    /// Whether a policy selects the pod.
    pub selected: bool,
}

// === impl Eligibility ===

impl Eligibility {
    /// Whether a pod is injected. `earlier` is what an earlier pass has left in it.
    pub(super) fn of(
        pod: &ReviewedPod,
        asked: Asked,
        earlier: Option<&EarlierPass>,
    ) -> Eligibility {
        let own = Inject::of(pod.labels());
        if pod.annotation(MIRROR_ANNOTATION).is_some() {
            return Eligibility::Skip(SkipReason::Mirror);
        }
        if own == Inject::Disabled || asked.namespace == Inject::Disabled {
            return Eligibility::Skip(SkipReason::OptedOut);
        }
        let labeled = own == Inject::Enabled || asked.namespace == Inject::Enabled;
        // A pod that already has the sidecar is gone over again whoever asked for it the first
        // time: the policy may have gone between two passes.
        if !labeled && !asked.selected && earlier.is_none() {
            return Eligibility::Skip(SkipReason::NotAsked);
        }
        match refusal(pod, earlier) {
            Some(refusal) => Eligibility::Refuse(refusal),
            None => Eligibility::Inject,
        }
    }
}

impl Refusal {
    /// The word that stands in the annotation and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::HostNetwork => "HostNetwork",
            Refusal::Windows => "Windows",
            Refusal::PortTaken => "PortTaken",
            Refusal::NameTaken => "NameTaken",
            Refusal::LimitRange => "LimitRange",
        }
    }
}

impl SkipReason {
    /// The word that stands in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::NotAsked => "NotAsked",
            SkipReason::OptedOut => "OptedOut",
            SkipReason::Mirror => "Mirror",
        }
    }
}

fn refusal(pod: &ReviewedPod, earlier: Option<&EarlierPass>) -> Option<Refusal> {
    if pod.spec().host_network == Some(true) {
        Some(Refusal::HostNetwork)
    } else if is_windows(pod) {
        Some(Refusal::Windows)
    } else if is_port_taken(pod) {
        Some(Refusal::PortTaken)
    } else if earlier.is_none() && is_name_taken(pod) {
        Some(Refusal::NameTaken)
    } else {
        None
    }
}

fn is_windows(pod: &ReviewedPod) -> bool {
    let os = pod.spec().os.as_ref().map(|os| os.name.as_str());
    let selector = pod.spec().node_selector.as_ref();
    let selected = selector.and_then(|selector| selector.get("kubernetes.io/os"));
    os == Some("windows") || selected.is_some_and(|os| os == "windows")
}

fn is_port_taken(pod: &ReviewedPod) -> bool {
    let ours = [RELAY_PORT, ADMIN_PORT, REFUSAL_PORT].map(i32::from);
    pod.all_containers()
        // Our own container declares none.
        .flat_map(|container| container.ports.as_deref().unwrap_or_default())
        .any(|port| ours.contains(&port.container_port))
}

fn is_name_taken(pod: &ReviewedPod) -> bool {
    let ours = [NO_TOKEN_VOLUME, HOLD_CONTAINER];
    let volumes = pod.spec().volumes.as_deref().unwrap_or_default();
    pod.all_containers()
        .any(|container| CONTAINERS.contains(&container.name.as_str()))
        || volumes
            .iter()
            .any(|volume| ours.contains(&volume.name.as_str()))
}
