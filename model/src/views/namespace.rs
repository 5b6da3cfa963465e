//! A namespace, and all that is known in it.

use super::selection::Selection;
use super::{EndpointIndex, InvalidPolicy, LimitRangeView, PodView, PolicyView};
use ebb_api::names::{Inject, POD_SECURITY_LABEL};
use std::collections::BTreeMap;

/// What the labels of a namespace itself say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceLabels {
    /// What its label about injection says.
    pub inject: Inject,
    /// Whether its Pod Security level refuses pods with the capability NET_ADMIN, which the
    /// redirect needs.
    pub forbids_net_admin: bool,
}

/// A namespace and all that is known in it.
#[derive(Debug, Default)]
pub struct NamespaceView {
    /// What its own labels say.
    pub labels: NamespaceLabels,
    /// What the EndpointSlices say about its pods.
    pub endpoints: EndpointIndex,
    policies: BTreeMap<String, PolicyView>,
    invalid: BTreeMap<String, InvalidPolicy>,
    limit_ranges: BTreeMap<String, LimitRangeView>,
    pods: BTreeMap<String, PodView>,
    selection: Selection,
}

// === impl NamespaceLabels ===

impl Default for NamespaceLabels {
    fn default() -> Self {
        NamespaceLabels::of(None)
    }
}

impl NamespaceLabels {
    /// Reads the labels of a namespace.
    pub fn of(labels: Option<&BTreeMap<String, String>>) -> NamespaceLabels {
        // `baseline` and `restricted` refuse NET_ADMIN; the only other level is `privileged`.
        let level = labels.and_then(|labels| labels.get(POD_SECURITY_LABEL));
        NamespaceLabels {
            inject: Inject::of(labels),
            forbids_net_admin: level
                .is_some_and(|level| level == "baseline" || level == "restricted"),
        }
    }

    /// Whether they say nothing about Ebb.
    pub fn is_empty(self) -> bool {
        self.inject == Inject::Unset && !self.forbids_net_admin
    }
}

// === impl NamespaceView ===

impl NamespaceView {
    /// Whether nothing is known in the namespace.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
            && self.policies.is_empty()
            && self.invalid.is_empty()
            && self.limit_ranges.is_empty()
            && self.pods.is_empty()
            && self.selection.is_empty()
            && self.endpoints.is_empty()
    }

    /// The valid policies, in the order of their names.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyView> {
        self.policies.values()
    }

    /// The valid policy of that name.
    pub fn policy(&self, name: &str) -> Option<&PolicyView> {
        self.policies.get(name)
    }

    /// The policies that cannot be read or matched, in the order of their names. They select
    /// nothing, and say so.
    pub fn invalid_policies(&self) -> impl Iterator<Item = &InvalidPolicy> {
        self.invalid.values()
    }

    /// The invalid policy of that name.
    pub fn invalid_policy(&self, name: &str) -> Option<&InvalidPolicy> {
        self.invalid.get(name)
    }

    /// The LimitRanges, in the order of their names.
    pub fn limit_ranges(&self) -> impl Iterator<Item = &LimitRangeView> {
        self.limit_ranges.values()
    }

    /// Takes in a LimitRange that was added or has changed.
    pub fn set_limit_range(&mut self, range: LimitRangeView) {
        self.limit_ranges.insert(range.name.clone(), range);
    }

    /// Forgets a LimitRange that is gone.
    pub fn remove_limit_range(&mut self, name: &str) {
        self.limit_ranges.remove(name);
    }

    /// The pods, in the order of their names.
    pub fn pods(&self) -> impl Iterator<Item = &PodView> {
        self.pods.values()
    }

    /// The pod of that name.
    pub fn pod(&self, name: &str) -> Option<&PodView> {
        self.pods.get(name)
    }

    /// The policies that select the pod of that name, in no particular order.
    /// [`in_force`](crate::plan::select::in_force) decides between them.
    pub fn policies_of(&self, pod: &str) -> impl Iterator<Item = &PolicyView> {
        let names = self.selection.policies(pod).iter();
        names.filter_map(|name| self.policies.get(name))
    }

    /// The policies that would select a pod with these labels, which need not be one of the
    /// namespace. Compares the labels with every policy.
    pub fn policies_for(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &PolicyView> {
        self.policies().filter(|policy| policy.selects(labels))
    }

    /// The pods that the policy of that name selects, in the order of their names.
    pub fn pods_of(&self, policy: &str) -> impl Iterator<Item = &PodView> {
        let names = self.selection.pods(policy);
        names.filter_map(|name| self.pods.get(name))
    }

    /// Takes in a policy that was added or has changed. Returns whether it says something else than
    /// before; our own writes of its status come back as changes, too.
    pub fn set_policy(&mut self, policy: Result<PolicyView, Box<InvalidPolicy>>) -> bool {
        let policy = match policy {
            Ok(policy) => policy,
            Err(invalid) => {
                self.remove_policy(&invalid.name);
                self.invalid.insert(invalid.name.clone(), *invalid);
                return true;
            }
        };
        self.invalid.remove(&policy.name);
        let before = self.policies.get(&policy.name);
        let changed = before.is_none_or(|before| !before.says_the_same_as(&policy));
        if before.is_none_or(|before| before.selector != policy.selector) {
            self.selection.remove_policy(&policy.name);
            for pod in self.pods.values().filter(|pod| policy.selects(&pod.labels)) {
                self.selection.insert(&policy.name, &pod.name);
            }
        }
        self.policies.insert(policy.name.clone(), policy);
        changed
    }

    /// Forgets a policy that is gone.
    pub fn remove_policy(&mut self, name: &str) {
        self.selection.remove_policy(name);
        self.policies.remove(name);
        self.invalid.remove(name);
    }

    /// Takes in a pod that was added or has changed. Returns how it was before.
    pub fn set_pod(&mut self, pod: PodView) -> Option<PodView> {
        let before = self.pods.get(&pod.name);
        if before.is_none_or(|before| before.labels != pod.labels) {
            self.selection.remove_pod(&pod.name);
            for policy in self.policies.values().filter(|it| it.selects(&pod.labels)) {
                self.selection.insert(&policy.name, &pod.name);
            }
        }
        self.pods.insert(pod.name.clone(), pod)
    }

    /// Forgets a pod that is gone. Returns how it was.
    pub fn remove_pod(&mut self, name: &str) -> Option<PodView> {
        self.selection.remove_pod(name);
        self.pods.remove(name)
    }
}

#[cfg(test)]
mod tests;
