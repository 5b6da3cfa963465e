//! What an earlier pass of the webhook has left in a pod.
//!
//! The API server calls the webhook again when another one has changed the pod after us. The second
//! pass must not add again what the first one added, so it reads what the first one wrote
//! down: the sidecar's own [`Bootstrap`], and the original grace period in an annotation.

use crate::admission::pod::ReviewedPod;
use ebb_api::bootstrap::{Bootstrap, OwnHook};
use ebb_api::names::{BOOTSTRAP_VARIABLE, ORIGINAL_GRACE_ANNOTATION, SIDECAR_CONTAINER};

/// Our sidecar as an earlier pass has left it.
#[derive(Clone, Debug)]
pub(super) struct EarlierPass {
    /// What that pass wrote, if it can be read.
    pub bootstrap: Option<Bootstrap>,
}

impl EarlierPass {
    /// Finds our sidecar among the init containers: the one of its name with a bootstrap.
    pub(super) fn find(pod: &ReviewedPod) -> Option<EarlierPass> {
        let mut containers = pod.init_containers().iter();
        let sidecar = containers.find(|container| container.name == SIDECAR_CONTAINER)?;
        let environment = sidecar.env.as_deref().unwrap_or_default();
        let mut variables = environment.iter();
        let variable = variables.find(|variable| variable.name == BOOTSTRAP_VARIABLE)?;
        let bootstrap = variable.value.as_deref();
        Some(EarlierPass {
            bootstrap: bootstrap.and_then(|bootstrap| serde_json::from_str(bootstrap).ok()),
        })
    }

    /// The preStop hook that an earlier pass took over from the given container.
    pub(super) fn own_hook(&self, container: &str) -> Option<&OwnHook> {
        let mut containers = self.bootstrap.as_ref()?.containers.iter();
        let container = containers.find(|known| known.name == container)?;
        container.own_hook.as_ref()
    }

    /// The pod's grace period before an earlier pass raised it, in seconds. A number that is larger
    /// than the pod's present one was not written by us.
    pub(super) fn original_grace_seconds(pod: &ReviewedPod, present: u32) -> Option<u32> {
        let original = pod.annotation(ORIGINAL_GRACE_ANNOTATION)?;
        let original = original.parse().ok()?;
        (original <= present).then_some(original)
    }
}
