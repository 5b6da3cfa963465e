//! DrainPolicies. One that cannot be read never stops the watch: it becomes an invalid policy that
//! says what is wrong.

use super::Watched;
use crate::cluster::Cluster;
use ebb_api::policy::DrainPolicy;
use ebb_model::views::PolicyView;
use kube::core::DeserializeGuard;
use std::collections::BTreeSet;

impl Watched for DeserializeGuard<DrainPolicy> {
    const KIND: &'static str = "DrainPolicy";

    fn apply(self, cluster: &mut Cluster) {
        cluster.set_policy(PolicyView::read(self));
    }

    fn forget(cluster: &mut Cluster, namespace: &str, name: &str) {
        cluster.remove_policy(namespace, name);
    }

    fn known(cluster: &Cluster) -> BTreeSet<(String, String)> {
        let mut known = BTreeSet::new();
        for (namespace, view) in cluster.namespaces() {
            let valid = view.policies().map(|policy| &policy.name);
            let invalid = view.invalid_policies().map(|policy| &policy.name);
            for name in valid.chain(invalid) {
                known.insert((namespace.clone(), name.clone()));
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A policy whose spec has the wrong shape is there, says why, and selects nothing.
    #[test]
    fn a_policy_that_cannot_be_read_becomes_an_invalid_one() {
        let mut cluster = Cluster::default();
        let object = json!({
            "apiVersion": "ebb.dev/v1alpha1", "kind": "DrainPolicy",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"selector": 7},
        });
        serde_json::from_value::<DeserializeGuard<DrainPolicy>>(object)
            .unwrap()
            .apply(&mut cluster);
        let namespace = cluster.namespace("shop").unwrap();
        assert_eq!(namespace.policies().count(), 0);
        assert!(
            namespace
                .invalid_policy("web")
                .unwrap()
                .why
                .starts_with("it cannot be read")
        );
    }
}
