//! Which settings a pod's sidecar acts on.

use super::select::in_force;
use crate::views::{NamespaceView, PodView};
use ebb_api::settings::Settings;

/// The settings of the policy in force for a pod of the namespace.
///
/// If there is none, it depends on why. A policy that was deleted (or can no longer be read) leaves
/// its pods as they are, so that no drain under way is cut short. If there is still such a policy
/// and it selects the pod no longer, a person wanted that, and Ebb stands aside at once. `last` are
/// the settings that were wanted last; after a restart of the controller, those of the pod's
/// bootstrap.
pub fn settings(namespace: &NamespaceView, pod: &PodView, last: &Settings) -> Settings {
    if let Some(policy) = in_force(namespace.policies_of(&pod.name)) {
        return policy.settings.clone();
    }
    match &last.policy {
        Some(policy) if namespace.policy(policy).is_some() => Settings::without_policy(),
        _ => last.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{injected, policy};
    use crate::views::PolicyView;

    /// A namespace with that pod and these policies.
    fn with(pod: PodView, policies: &[PolicyView]) -> NamespaceView {
        let mut namespace = NamespaceView::default();
        namespace.set_pod(pod);
        for policy in policies {
            namespace.set_policy(Ok(policy.clone()));
        }
        namespace
    }

    fn of(namespace: &NamespaceView, last: &Settings) -> Settings {
        settings(namespace, namespace.pod("a").unwrap(), last)
    }

    /// A change of the policy reaches its pods, also those that leave.
    #[test]
    fn the_policy_in_force_decides() {
        let mut changed = policy("web", 1);
        changed.settings.timeout_seconds = 5;
        let before = policy("web", 1).settings;
        let now = of(&with(injected("a"), &[changed]), &before);
        assert_eq!(now.timeout_seconds, 5);
    }

    /// Deleting a policy changes nothing for the pods that it was in force for.
    #[test]
    fn a_deleted_policy_stays_in_force_for_its_pods() {
        let before = policy("web", 1).settings;
        assert_eq!(of(&with(injected("a"), &[]), &before), before);
    }

    /// A pod that its policy means no more is let go at once.
    #[test]
    fn a_pod_that_its_policy_means_no_more_has_none() {
        let policy = policy("web", 1);
        let mut pod = injected("a");
        pod.labels.clear();
        let now = of(&with(pod, std::slice::from_ref(&policy)), &policy.settings);
        assert_eq!(now, Settings::without_policy());
    }
}
