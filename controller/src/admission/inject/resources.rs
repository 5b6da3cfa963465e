//! What our containers ask of the node, without changing what kind of pod they are in.

use super::fit::Fitting;
use crate::admission::pod::ReviewedPod;
use ebb_api::annotations::Annotations;
use ebb_api::names::CONTAINERS;
use ebb_api::quantity::billionths;
use ebb_model::views::LimitRangeView;
use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a container of ours requests where nobody says anything else. The horizontal autoscaler
/// does not work for pods in which a container lacks a request of the resource that it goes by
/// (pkg/controller/podautoscaler/replica_calculator.go of Kubernetes 1.35).
const LEAST_REQUESTS: [(&str, &str); 2] = [("cpu", "10m"), ("memory", "16Mi")];

/// What our containers ask for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarResources {
    /// Small requests.
    #[serde(default)]
    pub requests: BTreeMap<String, String>,
    /// Limits, if any.
    #[serde(default)]
    pub limits: BTreeMap<String, String>,
    /// Requests and limits in one, for pods of the class Guaranteed, which must stay in it. Larger
    /// than the requests: a limit on cpu is a throttle.
    pub guaranteed: BTreeMap<String, String>,
}

/// The `resources` of our containers in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerResources {
    pub(super) requests: BTreeMap<String, String>,
    pub(super) limits: BTreeMap<String, String>,
}

/// What our containers get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) resources: ContainerResources,
    /// A sentence for each resource of which something else is used than was asked for.
    pub(super) told: Vec<String>,
}

// === impl ContainerResources ===

impl ContainerResources {
    /// What the pod's annotations ask for, where they are silent what the chart says, and of that
    /// what the LimitRanges of the namespace admit.
    ///
    /// # Errors
    ///
    /// Fails with a sentence if they admit nothing.
    pub(super) fn fitted(
        pod: &ReviewedPod,
        resources: &SidecarResources,
        ranges: &[LimitRangeView],
    ) -> Result<Fitted, String> {
        let fitting = Fitting {
            pod,
            ranges,
            is_guaranteed: is_guaranteed_pod(pod),
            fallback: &resources.guaranteed,
        };
        fitting.fit(&ContainerResources::asked(pod, resources))
    }

    /// The same, whatever LimitRanges say.
    pub(super) fn asked(pod: &ReviewedPod, resources: &SidecarResources) -> ContainerResources {
        let asked = Annotations::read(|name| pod.annotation(name));
        let is_guaranteed = is_guaranteed_pod(pod);
        let has_own = pod.spec().resources.is_some();
        let (mut requests, mut limits) = if has_own {
            // With resources at the level of the pod, the class depends on those alone, and the sum
            // of the containers' requests must not be above them, or the pod is refused.
            (BTreeMap::new(), BTreeMap::new())
        } else if is_guaranteed {
            (resources.guaranteed.clone(), resources.guaranteed.clone())
        } else {
            (resources.requests.clone(), resources.limits.clone())
        };
        for (name, amounts) in [("cpu", asked.cpu), ("memory", asked.memory)] {
            if is_guaranteed {
                // One number is both, or the pod would leave its class.
                let both = amounts.limit.or(amounts.request);
                set(&mut requests, name, both.clone());
                set(&mut limits, name, both);
                continue;
            }
            let is_limit_asked = amounts.limit.is_some();
            set(&mut requests, name, amounts.request);
            set(&mut limits, name, amounts.limit);
            // The API server refuses a request above its limit: the one that was asked for counts.
            if is_above(requests.get(name), limits.get(name)) {
                let (from, to) = if is_limit_asked {
                    (&limits, &mut requests)
                } else {
                    (&requests, &mut limits)
                };
                let amount = from.get(name).cloned();
                set(to, name, amount);
            }
        }
        if !has_own {
            for (name, least) in LEAST_REQUESTS {
                // A request that is not given is the limit.
                let given = limits.get(name).cloned().unwrap_or(least.to_owned());
                requests.entry(name.to_owned()).or_insert(given);
            }
        }
        ContainerResources { requests, limits }
    }

    /// As a container's field `resources`.
    pub(super) fn object(&self) -> Value {
        let mut value = json!({});
        for (field, amounts) in [("requests", &self.requests), ("limits", &self.limits)] {
            if !amounts.is_empty() {
                value[field] = json!(amounts);
            }
        }
        value
    }
}

fn set(amounts: &mut BTreeMap<String, String>, name: &str, amount: Option<String>) {
    amounts.extend(amount.map(|amount| (name.to_owned(), amount)));
}

/// Whether a request is above a limit, as far as both are there and can be read.
fn is_above(request: Option<&String>, limit: Option<&String>) -> bool {
    let amount = |text: Option<&String>| billionths(text?);
    match (amount(request), amount(limit)) {
        (Some(request), Some(limit)) => request > limit,
        _ => false,
    }
}

/// Whether each of the pod's own containers has what the class Guaranteed takes.
fn is_guaranteed_pod(pod: &ReviewedPod) -> bool {
    let mut others = pod
        .all_containers()
        .filter(|container| !CONTAINERS.contains(&container.name.as_str()));
    pod.spec().resources.is_none() && others.all(is_guaranteed)
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
