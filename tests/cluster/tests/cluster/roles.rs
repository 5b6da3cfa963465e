//! Who may read and write policies.

use anyhow::{Context as _, Result, ensure};
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use k8s_openapi::api::authorization::v1::LocalSubjectAccessReview;
use k8s_openapi::api::rbac::v1::RoleBinding;
use serde_json::json;

use crate::fixtures::SOON;

/// Binds a user of the role's own name to it, in this namespace.
async fn bind(namespace: &TestNamespace, role: &str) -> Result<()> {
    let group = "rbac.authorization.k8s.io";
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": role}],
    }))?;
    namespace.create_object(&binding).await.map(drop)
}

async fn may(namespace: &TestNamespace, user: &str, verb: &str, resource: &str) -> Result<bool> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review: LocalSubjectAccessReview = serde_json::from_value(json!({
        "metadata": {"namespace": namespace.name},
        "spec": {"user": user, "resourceAttributes": {
            "namespace": namespace.name, "group": "ebb.dev", "verb": verb,
            "resource": resource, "subresource": subresource,
        }},
    }))?;
    let answer = namespace.create_object(&review).await?;
    let status = answer.status.context("the review has no answer")?;
    Ok(status.allowed)
}

/// Whoever may view, edit or administer a namespace may do that to its policies, and nobody of them
/// writes a status, which is the controller's.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn the_usual_roles_of_a_namespace_hold_for_its_policies() {
    in_parallel("roles", async |namespace| {
        let policies = "drainpolicies";
        let status = "drainpolicies/status";
        let (view, edit) = (["view", "edit", "admin"], ["edit", "admin"]);
        for role in view {
            bind(namespace, role).await?;
        }
        let reading = view.map(|role| (role, ["get", "list", "watch"].as_slice()));
        let writing = ["create", "update", "patch", "delete", "deletecollection"];
        let writing = edit.map(|role| (role, writing.as_slice()));
        for (role, verbs) in reading.into_iter().chain(writing) {
            for verb in verbs {
                // A controller of the API server adds up the rules in its own time.
                eventually(&format!("{role} to {verb} {policies}"), SOON, async || {
                    ensure!(may(namespace, role, verb, policies).await?, "it may not");
                    Ok(())
                })
                .await?;
            }
        }
        assert!(may(namespace, "view", "get", status).await?);
        assert!(!may(namespace, "view", "create", policies).await?);
        for role in view {
            assert!(!may(namespace, role, "patch", status).await?, "{role}");
        }
        Ok(())
    });
}
