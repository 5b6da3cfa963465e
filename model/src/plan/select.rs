//! Which policy is in force for a pod.

use crate::views::PolicyView;
use std::collections::BTreeMap;

/// The policy in force for a pod with these labels: of all that select it the oldest, by creation
/// time, then by name.
pub fn in_force<'a>(
    policies: &'a [PolicyView],
    labels: &BTreeMap<String, String>,
) -> Option<&'a PolicyView> {
    policies
        .iter()
        .filter(|policy| policy.selects(labels))
        .min_by_key(|policy| (policy.created, &policy.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::policy;

    fn web() -> BTreeMap<String, String> {
        BTreeMap::from([("app".to_owned(), "web".to_owned())])
    }

    /// Age decides, whatever order the policies arrived in; names decide between twins.
    #[test]
    fn the_oldest_policy_is_in_force_then_the_first_by_name() {
        let policies = [policy("b", 20), policy("c", 10), policy("a", 20)];
        assert_eq!(in_force(&policies, &web()).unwrap().name, "c");
        let twins = [policy("b", 20), policy("a", 20)];
        assert_eq!(in_force(&twins, &web()).unwrap().name, "a");
    }

    /// A pod that no policy means has none.
    #[test]
    fn a_pod_without_the_labels_has_no_policy() {
        assert!(in_force(&[policy("a", 1)], &BTreeMap::new()).is_none());
    }
}
