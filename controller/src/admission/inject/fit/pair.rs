//! Request and limit of one resource: of a container, or of a pod as a whole.

use crate::admission::pod::ReviewedPod;
use ebb_api::names::CONTAINERS;
use ebb_api::quantity::{Amount, billionths};
use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// Request and limit of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pair<T> {
    pub(super) request: Option<T>,
    pub(super) limit: Option<T>,
}

/// What is known of one resource of a pod without our containers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// The sum over its containers, in billionths of the resource's unit.
    pub(super) sum: Pair<u128>,
    /// What the pod itself says, whatever its containers do (`spec.resources`).
    pub(super) own: Pair<u128>,
}

// === impl Pair ===

impl Pair<Amount> {
    pub(super) fn sizes(&self) -> Pair<u128> {
        let size = |amount: &Option<Amount>| amount.as_ref().map(|amount| amount.billionths);
        Pair {
            request: size(&self.request),
            limit: size(&self.limit),
        }
    }
}

impl Pair<u128> {
    fn of(resources: Option<&ResourceRequirements>, resource: &str) -> Pair<u128> {
        let amount = |all: &Option<BTreeMap<String, Quantity>>| {
            let quantity = all.as_ref()?.get(resource)?;
            billionths(&quantity.0)
        };
        Pair {
            request: resources.and_then(|resources| amount(&resources.requests)),
            limit: resources.and_then(|resources| amount(&resources.limits)),
        }
    }

    pub(super) fn plus(self, other: Pair<u128>) -> Pair<u128> {
        self.each(other, u128::saturating_add)
    }

    fn max(self, other: Pair<u128>) -> Pair<u128> {
        self.each(other, Ord::max)
    }

    fn each(self, other: Pair<u128>, both: impl Fn(u128, u128) -> u128) -> Pair<u128> {
        let join = |one: Option<u128>, other: Option<u128>| match (one, other) {
            (Some(one), Some(other)) => Some(both(one, other)),
            (one, other) => one.or(other),
        };
        Pair {
            request: join(self.request, other.request),
            limit: join(self.limit, other.limit),
        }
    }
}

// === impl Rest ===

impl Rest {
    /// What the pod has without our containers. The sum is Kubernetes' (podRequests and podLimits
    /// in plugin/pkg/admission/limitranger/admission.go): containers and init containers that stay
    /// are added up, and init containers that end count where they take more than all that
    /// together.
    ///
    /// Ours add exactly what one of them has: the sidecar is the first that stays, and those before
    /// it end.
    pub(super) fn of(pod: &ReviewedPod, resource: &str) -> Rest {
        let pair = |container: &Container| Pair::of(container.resources.as_ref(), resource);
        let apps = pod.spec().containers.iter().map(pair);
        let mut sum = apps.fold(Pair::default(), Pair::plus);
        let (mut staying, mut most) = (Pair::default(), Pair::default());
        for container in pod.init_containers() {
            if CONTAINERS.contains(&container.name.as_str()) {
                continue;
            }
            let takes = pair(container);
            if container.restart_policy.as_deref() == Some("Always") {
                sum = sum.plus(takes);
                staying = Pair::plus(staying, takes);
                most = Pair::max(most, staying);
            } else {
                most = Pair::max(most, staying.plus(takes));
            }
        }
        Rest {
            sum: sum.max(most),
            own: Pair::of(pod.spec().resources.as_ref(), resource),
        }
    }
}
