//! A namespace, and all that is known in it.

use super::{EndpointIndex, InvalidPolicy, PodView, PolicyView};
use ebb_api::names::{Inject, POD_SECURITY_LABEL};
use std::collections::BTreeMap;

/// What the labels of a namespace itself say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceLabels {
    /// What its label about injection says.
    pub inject: Inject,
    /// Whether its Pod Security level refuses pods with the capability NET_ADMIN, which the redirect
    /// needs.
    pub forbids_net_admin: bool,
}

/// A namespace and all that is known in it.
#[derive(Debug, Default)]
pub struct NamespaceView {
    /// What its own labels say.
    pub labels: NamespaceLabels,
    /// The valid policies, in no particular order: [`in_force`](crate::plan::select::in_force)
    /// decides between them.
    pub policies: Vec<PolicyView>,
    /// Policies that cannot be read or matched, by name. They select nothing, and say so.
    pub invalid: BTreeMap<String, InvalidPolicy>,
    /// The pods, by name.
    pub pods: BTreeMap<String, PodView>,
    /// What the EndpointSlices say about them.
    pub endpoints: EndpointIndex,
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
            && self.pods.is_empty()
            && self.endpoints.is_empty()
    }

    /// The valid policy of that name.
    pub fn policy(&self, name: &str) -> Option<&PolicyView> {
        self.policies.iter().find(|policy| policy.name == name)
    }
}
