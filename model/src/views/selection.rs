//! Which policies of a namespace select which of its pods.
//!
//! Kept up to date as pods and policies change, so that no reader compares labels again: what
//! concerns one policy costs the pods that it selects, not all pods of the namespace.

use std::collections::{BTreeSet, HashMap};

/// The pairs of a policy and a pod that it selects, found from either side. All by name.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// By pod; a list, since most pods have one policy.
    policies: HashMap<String, Vec<String>>,
    /// By policy.
    pods: HashMap<String, BTreeSet<String>>,
}

impl Selection {
    /// The policies that select the pod, in no particular order.
    pub(super) fn policies(&self, pod: &str) -> &[String] {
        self.policies.get(pod).map_or(&[], Vec::as_slice)
    }

    /// The pods that the policy selects, in the order of their names.
    pub(super) fn pods(&self, policy: &str) -> impl Iterator<Item = &String> {
        self.pods.get(policy).into_iter().flatten()
    }

    /// From now on the policy selects the pod, which it did not.
    pub(super) fn insert(&mut self, policy: &str, pod: &str) {
        let policies = self.policies.entry(pod.to_owned()).or_default();
        policies.push(policy.to_owned());
        let pods = self.pods.entry(policy.to_owned()).or_default();
        pods.insert(pod.to_owned());
    }

    /// From now on no policy selects the pod.
    pub(super) fn remove_pod(&mut self, pod: &str) {
        for policy in self.policies.remove(pod).unwrap_or_default() {
            if let Some(pods) = self.pods.get_mut(&policy) {
                pods.remove(pod);
                if pods.is_empty() {
                    self.pods.remove(&policy);
                }
            }
        }
    }

    /// From now on the policy selects no pod.
    pub(super) fn remove_policy(&mut self, policy: &str) {
        for pod in self.pods.remove(policy).unwrap_or_default() {
            if let Some(policies) = self.policies.get_mut(&pod) {
                policies.retain(|other| other != policy);
                if policies.is_empty() {
                    self.policies.remove(&pod);
                }
            }
        }
    }

    /// Whether no policy selects any pod.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.pods.is_empty()
    }
}
