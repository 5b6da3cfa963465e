//! What most tests begin with.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use ebb_api::policy::DrainPolicy;
use ebb_api::report::Report;
use ebb_api::status::DrainPolicyStatus;
use ebb_cluster::client::Client;
use ebb_cluster::eventually;
use ebb_cluster::namespace::TestNamespace;
use ebb_cluster::pods;
use ebb_cluster::web::{HTTP_PORT, Web};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

/// Many times what the controller takes to see or to say something.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The sample application, called `name`.
pub(crate) fn web(namespace: &TestNamespace, name: &str) -> Web {
    Web::new(name, &namespace.cluster.images.sample_app)
}

/// A policy called `name` for the pods with the label `app: name`, with these other fields.
pub(crate) async fn policy(namespace: &TestNamespace, name: &str, fields: Value) -> Result<()> {
    let mut spec = fields;
    spec["selector"] = json!({"matchLabels": {"app": name}});
    namespace.policy(name, spec).await.map(drop)
}

/// A pod with its Service, ready, that carries the sidecar.
pub(crate) async fn injected_pod(namespace: &TestNamespace, web: &Web) -> Result<Pod> {
    let pod = any_pod(namespace, web).await?;
    ensure!(
        pods::is_injected(&pod),
        "the pod {} was not injected",
        web.name
    );
    Ok(pod)
}

/// A pod with its Service, ready.
pub(crate) async fn any_pod(namespace: &TestNamespace, web: &Web) -> Result<Pod> {
    namespace.create_object(&web.service()).await?;
    namespace.create_object(&web.bare_pod()).await?;
    pods::ready(namespace, &web.name).await
}

/// A connection to the pod's application on which a POST to `path` has been sent.
pub(crate) async fn request_of(pod: &Pod, path: &str) -> Result<Client> {
    let mut client = Client::connect(pods::address(pod, HTTP_PORT)?).await?;
    client.request("POST", path).await?;
    Ok(client)
}

/// Waits until the sidecar counts `wanted` requests in flight.
pub(crate) async fn in_flight(pod: &Pod, wanted: u64) -> Result<Report> {
    eventually(&format!("{wanted} requests in flight"), SOON, async || {
        let report = pods::report(pod).await?;
        let counted: u64 = report.now.in_flight.values().sum();
        ensure!(counted == wanted, "{counted} are in flight");
        Ok(report)
    })
    .await
}

/// Deletes the pod, as a rollout does: kubelet ends it in its own time.
pub(crate) async fn delete(namespace: &TestNamespace, name: &str) -> Result<()> {
    namespace
        .api::<Pod>()
        .delete(name, &DeleteParams::default())
        .await?;
    Ok(())
}

/// Changes fields of a policy's spec, and waits until the controller has seen it.
pub(crate) async fn change(namespace: &TestNamespace, name: &str, fields: Value) -> Result<()> {
    let patch = json!({"spec": fields}).to_string();
    namespace
        .kubectl(&["patch", "drainpolicy", name, "--type=merge", "-p", &patch])
        .await?;
    namespace.policy_in_force(name).await.map(drop)
}

/// Waits until the policy's status is as wanted.
pub(crate) async fn status(
    namespace: &TestNamespace,
    name: &str,
    what: &str,
    wanted: impl Fn(&DrainPolicyStatus) -> bool,
) -> Result<DrainPolicyStatus> {
    let policies = namespace.api::<DrainPolicy>();
    eventually(
        &format!("the status of {name} to say {what}"),
        SOON,
        async || {
            let status = policies.get(name).await?.status.unwrap_or_default();
            ensure!(wanted(&status), "it is {status:#?}");
            Ok(status)
        },
    )
    .await
}

/// Waits until the condition Protected has this reason, and returns its message.
pub(crate) async fn protected(
    namespace: &TestNamespace,
    name: &str,
    reason: &str,
) -> Result<String> {
    let found = |status: &DrainPolicyStatus| {
        let condition = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Protected");
        condition
            .filter(|condition| condition.reason == reason)
            .map(|condition| condition.message.clone())
    };
    let what = format!("Protected: {reason}");
    let status = status(namespace, name, &what, |status| found(status).is_some()).await?;
    Ok(found(&status).unwrap_or_default())
}

/// What changes when a pod of a Service goes out of it and comes back: the version of each slice,
/// and the moment at which each pod has become ready.
pub(crate) async fn in_service(
    namespace: &TestNamespace,
    service: &str,
) -> Result<BTreeMap<String, String>> {
    let slices = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let slices = namespace.api::<EndpointSlice>().list(&slices).await?;
    let slices = slices.items.into_iter().map(|slice| slice.metadata);
    let slices = slices.map(|slice| (slice.name, slice.resource_version.unwrap_or_default()));
    let pods = ListParams::default().labels(&format!("serves={service}"));
    let pods = namespace.api::<Pod>().list(&pods).await?;
    let pods = pods.items.into_iter().map(|pod| {
        let status = pod.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions.into_iter().find(|it| it.type_ == "Ready");
        (pod.metadata.name, format!("{ready:?}"))
    });
    Ok(slices
        .chain(pods)
        .map(|(name, state)| (name.unwrap_or_default(), state))
        .collect())
}
