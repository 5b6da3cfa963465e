//! What our containers ask of the node, without changing what kind of pod they are in.

use crate::admission::pod::ReviewedPod;
use ebb_api::names::{HOLD_CONTAINER, REDIRECT_CONTAINER, SIDECAR_CONTAINER};
use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What our containers ask for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarResources {
    /// Small requests: the horizontal autoscaler does not work for pods with a container that has
    /// none.
    #[serde(default)]
    pub requests: BTreeMap<String, String>,
    /// Limits, if any.
    #[serde(default)]
    pub limits: BTreeMap<String, String>,
    /// Requests and limits in one, for pods of the class Guaranteed, which must stay in it. Larger
    /// than the requests: a limit on cpu is a throttle.
    pub guaranteed: BTreeMap<String, String>,
}

/// The `resources` of our containers in this pod.
pub(super) fn for_pod(pod: &ReviewedPod, resources: &SidecarResources) -> Value {
    if pod.spec().resources.is_some() {
        // With resources at the level of the pod, the class depends on those alone, and the sum of
        // the containers' requests must not be above them, or the pod is refused.
        return json!({});
    }
    let ours = [SIDECAR_CONTAINER, REDIRECT_CONTAINER, HOLD_CONTAINER];
    let mut others = pod
        .all_containers()
        .filter(|container| !ours.contains(&container.name.as_str()));
    if others.all(is_guaranteed) {
        return json!({"requests": resources.guaranteed, "limits": resources.guaranteed});
    }
    let mut value = json!({"requests": resources.requests});
    if !resources.limits.is_empty() {
        value["limits"] = json!(resources.limits);
    }
    value
}

/// Whether a container has limits for cpu and memory, and requests that equal them.
fn is_guaranteed(container: &Container) -> bool {
    let Some(resources) = &container.resources else {
        return false;
    };
    ["cpu", "memory"].iter().all(|name| {
        let limit = resources.limits.as_ref().and_then(|all| all.get(*name));
        let request = resources.requests.as_ref().and_then(|all| all.get(*name));
        // A request that is not given is the limit.
        limit.is_some() && request.is_none_or(|request| Some(request) == limit)
    })
}
