//! Which policy is in force for a pod.

use crate::views::PolicyView;

/// Of all policies that select a pod the one in force: the oldest, by creation time, then by name.
///
/// Which ones select it the namespace knows, [of its own
/// pods](crate::views::NamespaceView::policies_of) and [of any
/// others](crate::views::NamespaceView::policies_for).
pub fn in_force<'a>(policies: impl Iterator<Item = &'a PolicyView>) -> Option<&'a PolicyView> {
    policies.min_by_key(|policy| (policy.created, &policy.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::policy;
    use crate::views::NamespaceView;
    use std::collections::BTreeMap;

    /// Age decides, whatever order the policies arrived in; names decide between twins.
    #[test]
    fn the_oldest_policy_is_in_force_then_the_first_by_name() {
        let policies = [policy("b", 20), policy("c", 10), policy("a", 20)];
        assert_eq!(in_force(policies.iter()).unwrap().name, "c");
        let twins = [policy("b", 20), policy("a", 20)];
        assert_eq!(in_force(twins.iter()).unwrap().name, "a");
    }

    /// A pod that no policy means has none.
    #[test]
    fn a_pod_without_the_labels_has_no_policy() {
        let mut namespace = NamespaceView::default();
        namespace.set_policy(Ok(policy("a", 1)));
        assert!(in_force(namespace.policies_for(&BTreeMap::new())).is_none());
    }
}
