//! Kubelet restarts the app's container, and the pod stays.

use std::time::Duration;

use anyhow::{Result, ensure};
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_cluster::client::ask;
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::web::{HTTP_PORT, Web};
use ebb_sample_app::log::now_ms;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::fixtures::{any_pod, injected_pod, policy, request_of, web};

/// How much longer than without Ebb a hung app may live: what its probe's grace is raised by, which
/// is the longest that the sidecar holds a restart, and some for kubelet's own periods.
const LONGER: Duration = Duration::from_secs(13);

/// The sample application with a liveness probe that gives up within seconds.
fn probed(namespace: &TestNamespace, name: &str) -> Web {
    web(namespace, name)
        .container(json!({"livenessProbe": {
            "httpGet": {"path": "/healthz", "port": HTTP_PORT},
            "periodSeconds": 1,
            "failureThreshold": 2,
        }}))
        .pod(json!({"terminationGracePeriodSeconds": 5}))
}

/// Waits until the app was restarted once and is ready again, and returns the pod.
async fn restarted(namespace: &TestNamespace, name: &str) -> Result<Pod> {
    let pods = namespace.api::<Pod>();
    eventually(
        &format!("{name} to be restarted"),
        Duration::from_secs(60),
        async || {
            let pod = pods.get(name).await?;
            let restarts = pods::container(&pod, "app").map(|status| status.restart_count);
            ensure!(restarts == Some(1), "restarts: {restarts:?}");
            ensure!(pods::is_ready(&pod), "it is not ready again");
            Ok(pod)
        },
    )
    .await
}

/// A liveness restart drains the container, not the pod: afterwards the pod serves as before.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_liveness_restart_does_not_leave_the_pod_draining() {
    in_parallel("liveness", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 120})).await?;
        let pod = injected_pod(namespace, &probed(namespace, "web")).await?;
        let address = pods::address(&pod, HTTP_PORT)?;
        ask(address, "POST", "/fail", Duration::from_secs(5)).await?;

        let pod = restarted(namespace, "web").await?;
        let report = eventually(
            "the sidecar to serve again",
            Duration::from_secs(20),
            async || {
                let report = pods::report(&pod).await?;
                ensure!(
                    report.phase == Phase::Serving && report.leaving.is_none(),
                    "{report:?}"
                );
                Ok(report)
            },
        )
        .await?;
        let last = report.last.expect("the restart was a drain");
        assert_eq!(last.trigger, Trigger::ContainerRestart, "{last:?}");
        assert_ne!(last.outcome, Outcome::Killed, "{last:?}");
        let sidecar = pods::container(&pod, "ebb").map(|status| status.restart_count);
        assert_eq!(sidecar, Some(0), "the sidecar itself was restarted");
        let answer = ask(address, "POST", "/", Duration::from_secs(5)).await?;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("ebb"), "{answer}");
        Ok(())
    });
}

/// An app that hangs, with a request in flight that will never be answered, is restarted about as
/// soon as without Ebb; the policy's timeout of minutes has no say in it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_hung_app_restarts_as_fast_as_without_ebb() {
    in_parallel("hung", async |namespace| {
        policy(namespace, "with", json!({"timeoutSeconds": 300})).await?;
        let with = injected_pod(namespace, &probed(namespace, "with")).await?;
        let without = any_pod(namespace, &probed(namespace, "without")).await?;
        ensure!(
            !pods::is_injected(&without),
            "the pod without a policy was injected"
        );
        let (with, without) = tokio::join!(
            hang(namespace, &with, "with"),
            hang(namespace, &without, "without")
        );
        let (with, without) = (with?, without?);
        eprintln!("restarted after {with:?} with Ebb, {without:?} without");
        assert!(
            with < without + LONGER,
            "{with:?} with Ebb, {without:?} without"
        );
        Ok(())
    });
}

/// Hangs the app and returns how long it took until it was back.
async fn hang(namespace: &TestNamespace, pod: &Pod, name: &str) -> Result<Duration> {
    let began = now_ms();
    ask(
        pods::address(pod, HTTP_PORT)?,
        "POST",
        "/hang",
        Duration::from_secs(5),
    )
    .await?;
    let _never_answered = request_of(pod, "/").await?;
    restarted(namespace, name).await?;
    Ok(Duration::from_millis(now_ms() - began))
}
