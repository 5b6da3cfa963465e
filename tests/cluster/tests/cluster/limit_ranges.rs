//! Namespaces with LimitRanges: the API server's own plug-in judges what the webhook asks for.

use anyhow::{Context as _, Result, ensure};
use ebb_api::names::SIDECAR_CONTAINER;
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::web::Web;
use k8s_openapi::api::core::v1::{LimitRange, Pod};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::fixtures::{SOON, injected_pod, policy, protected, web};

const NAME: &str = "bounds";

/// A pod whose own containers a LimitRange admits is admitted with the sidecar, too, for each kind
/// of bound that there is; and where it can't be, without it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn no_pod_is_refused_since_a_limit_range_forbids_what_the_sidecar_asks_for() {
    in_parallel("limit-ranges", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let app = |requests: Value, limits: Value| {
            let resources = json!({"requests": requests, "limits": limits});
            web(namespace, "web").container(json!({"resources": resources}))
        };
        let usual = json!({"cpu": "100m", "memory": "64Mi"});
        let plain = app(usual.clone(), json!({"cpu": "200m", "memory": "128Mi"}));
        let guaranteed = app(usual.clone(), usual.clone());
        let each = |bounds: Value| limit_range("Container", bounds);
        let whole = |bounds: Value| limit_range("Pod", bounds);
        for (range, app, wanted) in [
            (
                each(json!({"min": {"cpu": "50m", "memory": "32Mi"}})),
                &plain,
                Some(json!({"requests": {"cpu": "50m", "memory": "32Mi"}})),
            ),
            (
                each(json!({"max": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "2"}})),
                &plain,
                Some(json!({"requests": {"cpu": "100m", "memory": "16Mi"},
                    "limits": {"cpu": "200m"}})),
            ),
            (
                each(json!({"default": {"memory": "8Mi"}, "defaultRequest": {"memory": "4Mi"}})),
                &plain,
                Some(json!({"requests": {"cpu": "10m", "memory": "16Mi"},
                    "limits": {"memory": "128Mi"}})),
            ),
            (
                whole(json!({"max": {"cpu": "200m"}, "maxLimitRequestRatio": {"memory": "2"}})),
                &plain,
                Some(json!({"requests": {"cpu": "10m", "memory": "16Mi"}})),
            ),
            (
                whole(json!({"max": {"cpu": "150m", "memory": "1Gi"}})),
                &guaranteed,
                Some(json!({"requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"cpu": "50m", "memory": "128Mi"}})),
            ),
            (whole(json!({"max": {"cpu": "100m"}})), &guaranteed, None),
        ] {
            let ranges = namespace.api::<LimitRange>();
            namespace.create_object(&range).await?;
            let what = json!(range.spec).to_string();
            let within = format!("a pod to be fitted to {what}");
            // The API server's plug-in and the controller learn of it each in their own time.
            eventually(&within, SOON, async || {
                let found = sidecar(namespace, app).await?;
                ensure!(found == wanted, "the sidecar asks for {found:?}");
                Ok(())
            })
            .await?;
            ranges.delete(NAME, &DeleteParams::default()).await?;
        }
        Ok(())
    });
}

/// An operator reads in the policy which LimitRange has changed what, also of what an annotation
/// asked for.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn what_a_limit_range_changed_is_told() {
    in_parallel("limit-ranges-told", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let range = limit_range("Container", json!({"min": {"cpu": "50m"}}));
        namespace.create_object(&range).await?;
        let web = web(namespace, "web");
        eventually("the webhook to know the LimitRange", SOON, async || {
            let found = sidecar(namespace, &web).await?;
            let found = found.context("no sidecar")?;
            ensure!(found["requests"]["cpu"] == "50m", "{found}");
            Ok(())
        })
        .await?;
        injected_pod(namespace, &web).await?;
        let said = "cpu request 50m instead of 10m: \
                    the LimitRange bounds has min 50m for each container";
        eventually("the policy to say it", SOON, async || {
            let message = protected(namespace, "web", "AllProtected").await?;
            ensure!(message.contains(said), "{message}");
            Ok(())
        })
        .await
    });
}

fn limit_range(kind: &str, bounds: Value) -> LimitRange {
    let mut item = bounds;
    item["type"] = json!(kind);
    let object = json!({"metadata": {"name": NAME}, "spec": {"limits": [item]}});
    serde_json::from_value(object).expect("it has the shape of a LimitRange")
}

/// What the sidecar of such a pod would ask for; `None` if it would have none. The API server goes
/// all the way but for storing the pod.
async fn sidecar(namespace: &TestNamespace, web: &Web) -> Result<Option<Value>> {
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pods = namespace.api::<Pod>();
    let pod = pods.create(&dry_run, &web.bare_pod()).await?;
    if !pods::is_injected(&pod) {
        return Ok(None);
    }
    let containers = pod.spec.and_then(|spec| spec.init_containers);
    let mut containers = containers.into_iter().flatten();
    let sidecar = containers.find(|it| it.name == SIDECAR_CONTAINER);
    Ok(Some(json!(sidecar.context("no sidecar")?.resources)))
}
