//! Who is protected, who is not, and whether it is said.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_api::capture::{self, Mode};
use ebb_api::names::REDIRECT_CONTAINER;
use ebb_cluster::client::{Client, ask};
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods::{self, PodRecorder};
use ebb_cluster::rolls::wait_until_complete;
use ebb_cluster::web::{ECHO_PORT, HTTP_PORT};
use ebb_sample_app::log::now_ms;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::PostParams;
use serde_json::json;

use crate::fixtures::{any_pod, injected_pod, policy, protected, web};

/// A policy that comes after its Deployment says so, with a command; and after that command, run as
/// it stands there, all is protected.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn pods_that_predate_their_policy_are_told_with_the_command_that_mends_it() {
    in_parallel("predate", async |namespace| {
        let web = web(namespace, "web").replicas(2);
        namespace.create_object(&web.service()).await?;
        namespace.create_object(&web.deployment()).await?;
        wait_until_complete(namespace, &web).await?;
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;

        let message = protected(namespace, "web", "PodsPredatePolicy").await?;
        let command = message.split('`').find(|part| part.starts_with("kubectl "));
        let command = command.with_context(|| format!("no command in {message:?}"))?;
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        namespace.cluster.kubectl(&arguments).await?;
        wait_until_complete(namespace, &web).await?;
        protected(namespace, "web", "AllProtected").await?;
        Ok(())
    });
}

/// A port that the app does not listen on yet stays refused, so a `tcpSocket` readiness probe of it
/// fails as it would without a sidecar.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_tcp_probe_of_an_app_that_does_not_listen_fails() {
    in_parallel("tcp-probe", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let late = web(namespace, "web")
            .variable("SAMPLE_START_DELAY_SECONDS", "12")
            .container(json!({
                "readinessProbe": {"httpGet": null, "tcpSocket": {"port": ECHO_PORT}},
            }));
        namespace.create_object(&late.bare_pod()).await?;
        let running = eventually("the app to run", Duration::from_secs(30), async || {
            let pod = namespace.api::<Pod>().get("web").await?;
            let state = pods::container(&pod, "app").and_then(|status| status.state.clone());
            ensure!(
                state.as_ref().is_some_and(|state| state.running.is_some()),
                "{state:?}"
            );
            Ok(pod)
        })
        .await?;
        ensure!(pods::is_injected(&running), "the pod was not injected");
        let refused = Client::connect(pods::address(&running, ECHO_PORT)?).await;
        let error = format!(
            "{:#}",
            refused
                .err()
                .context("a port that nobody listens on took a connection")?
        );
        assert!(error.contains("refused"), "{error}");

        let recorder = PodRecorder::of(namespace, "web", &["app"]).await?;
        pods::ready(namespace, "web").await?;
        let ready_at = now_ms();
        let listening = recorder
            .app_event("listening", Duration::from_secs(5))
            .await?;
        let listening_at = listening["at"].as_u64().context("no time")?;
        assert!(
            ready_at >= listening_at,
            "ready {} ms before it listened",
            listening_at - ready_at
        );
        Ok(())
    });
}

/// Where the Pod Security level forbids what the redirect needs, the pod is admitted, serves, and
/// is named as unprotected.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_namespace_that_forbids_the_redirect_gets_serving_pods_and_a_reason() {
    in_parallel("forbidden", async |namespace| {
        let level = "pod-security.kubernetes.io/enforce=restricted";
        namespace
            .cluster
            .kubectl(&["label", "namespace", &namespace.name, level])
            .await?;
        // What pods fall back on, whatever is asked of others.
        policy(namespace, "web", json!({"capture": {"mode": "Auto"}})).await?;
        let restricted = web(namespace, "web")
            .container(json!({"securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
            }}))
            .pod(json!({"securityContext": {
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            }}));
        let pod = injected_pod(namespace, &restricted).await?;
        let why = "the Pod Security level of the namespace forbids more";
        assert_serves_unprotected(namespace, &pod, "OnlyObserved", why).await
    });
}

/// A redirect step that runs and fails, since somebody took its capability away, leaves a serving
/// pod and a reason, too.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_redirect_step_that_fails_leaves_a_serving_pod_and_a_reason() {
    in_parallel("redirect-fails", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let web = web(namespace, "web");
        namespace.create_object(&web.service()).await?;
        // What the webhook would make of the pod, without the capability that the step needs.
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut pod = namespace
            .api::<Pod>()
            .create(&dry_run, &web.bare_pod())
            .await?;
        pod.metadata.uid = None;
        pod.metadata.resource_version = None;
        pod.metadata.creation_timestamp = None;
        pod.status = None;
        let init = pod
            .spec
            .as_mut()
            .and_then(|spec| spec.init_containers.as_mut());
        let step = init
            .into_iter()
            .flatten()
            .find(|container| container.name == REDIRECT_CONTAINER);
        withhold_capabilities(step.context("the pod has no redirect step")?);
        namespace.create_object(&pod).await?;

        let pod = pods::ready(namespace, "web").await?;
        let report = pods::report(&pod).await?;
        let why = capture::sentence(&report.steps).context("the sidecar gives no reason")?;
        assert_serves_unprotected(namespace, &pod, "CaptureFailed", &why).await
    });
}

fn withhold_capabilities(container: &mut Container) {
    if let Some(capabilities) = container
        .security_context
        .as_mut()
        .and_then(|context| context.capabilities.as_mut())
    {
        capabilities.add = None;
    }
}

async fn assert_serves_unprotected(
    namespace: &TestNamespace,
    pod: &Pod,
    reason: &str,
    why: &str,
) -> Result<()> {
    let answer = ask(
        pods::address(pod, HTTP_PORT)?,
        "POST",
        "/",
        Duration::from_secs(5),
    )
    .await?;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let report = pods::report(pod).await?;
    assert_eq!(report.mode, Mode::Observe);
    let message = protected(namespace, "web", reason).await?;
    assert!(message.contains(why), "{message:?} does not say {why:?}");
    Ok(())
}

/// A pod that no policy selects and no label names is left alone.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_pod_without_a_policy_is_left_alone() {
    in_parallel("bystander", async |namespace| {
        let pod = any_pod(namespace, &web(namespace, "web")).await?;
        assert!(!pods::is_injected(&pod));
        let grace = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        assert_eq!(grace, Some(30));
        let address: SocketAddr = pods::address(&pod, ebb_api::names::ADMIN_PORT)?;
        assert!(
            Client::connect(address).await.is_err(),
            "something listens on Ebb's port"
        );
        Ok(())
    });
}
