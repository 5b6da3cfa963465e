//! A hook call by somebody who knows the token: it stands in the pod, for kubelet.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_api::names::{ADMIN_PORT, SIDECAR_CONTAINER, TOKEN_HEADER, hook_path};
use ebb_api::phase::{Outcome, Phase};
use ebb_cluster::client::{ask, ask_with};
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::web::HTTP_PORT;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::fixtures::{SOON, change, in_service, protected};
use crate::leaving::Leaving;
use crate::processes::inside;

/// How long a call may wait for its answer: the controller decides, who is made to speak.
const DECIDED: Duration = Duration::from_secs(30);

/// The token that kubelet shows with the hook of the application's container.
fn token(pod: &Pod) -> Result<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let hooks = containers.filter_map(|it| it.lifecycle.as_ref()?.pre_stop.as_ref());
    let headers = hooks.filter_map(|hook| hook.http_get.as_ref()?.http_headers.as_ref());
    let token = headers.flatten().find(|it| it.name == TOKEN_HEADER);
    Ok(token.context("no hook has a token")?.value.clone())
}

/// Calls the hook of `container`, from within the pod `from`, and returns the status line.
async fn call(from: &Pod, address: SocketAddr, container: &str, token: &str) -> Result<String> {
    let (path, token) = (hook_path(container), token.to_owned());
    let answer = inside(from, async move || {
        let headers = [(TOKEN_HEADER, token.as_str())];
        ask_with(address, "GET", &path, &headers, "", DECIDED).await
    })
    .await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Changes the policy again and again: each time the controller tells the sidecar how things are.
async fn speak(namespace: &TestNamespace) -> Result<()> {
    for seconds in 61.. {
        change(namespace, "web", json!({"timeoutSeconds": seconds})).await?;
    }
    Ok(())
}

/// Whoever can read a pod knows the token of its hooks. Another pod that calls them with it, and a
/// process in the pod that calls the sidecar's own, are refused: the pod stays in its Service, a
/// request in flight and new ones are served, the log and an Event tell of it, and when the pod is
/// deleted it drains as ever.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_forged_hook_call_changes_nothing() {
    in_parallel("forged", async |namespace| {
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 60}));
        let mut leaving = leaving.request("/slow?seconds=10").ready().await?;
        protected(namespace, "web", "AllProtected").await?;
        let (pod, other) = (
            leaving.pod.clone(),
            pods::ready(namespace, "web-other").await?,
        );
        let before = in_service(namespace, "web").await?;
        let (address, token) = (leaving.address(ADMIN_PORT)?, token(&pod)?);

        let forged = [
            (&other, "app"),
            (&other, SIDECAR_CONTAINER),
            (&pod, SIDECAR_CONTAINER),
        ];
        let calls = forged.map(|(from, container)| call(from, address, container, &token));
        let answers = tokio::select! {
            answers = try_join_all(calls) => answers?,
            spoken = speak(namespace) => return spoken.context("the controller can't be made to speak"),
        };
        for answer in &answers {
            assert!(answer.starts_with("HTTP/1.1 403 "), "{answers:?}");
        }
        let report = pods::report(&pod).await?;
        assert_eq!((report.phase, &report.leaving), (Phase::Serving, &None));
        assert_eq!(report.refused_hooks, 3, "{report:?}");
        assert_eq!(in_service(namespace, "web").await?, before);
        let fresh = ask(pods::address(&pod, HTTP_PORT)?, "POST", "/", SOON).await?;
        assert!(fresh.starts_with("HTTP/1.1 200 OK"), "{fresh}");
        leaving
            .recorder
            .line("ebb", "hook call refused", SOON)
            .await?;
        eventually("the Event", SOON, async || {
            change(namespace, "web", json!({"timeoutSeconds": 60})).await?;
            let events = namespace.kubectl(&["events", "--types=Warning"]).await?;
            ensure!(
                events.contains("HookRefused"),
                "only these are there:\n{events}"
            );
            Ok(())
        })
        .await?;

        leaving.delete().await?;
        leaving.answer(Duration::from_secs(25)).await?;
        let drain = leaving.drain(Duration::from_secs(60)).await?;
        assert_eq!(drain.outcome, Outcome::Drained, "{drain:?}");
        Ok(())
    });
}
