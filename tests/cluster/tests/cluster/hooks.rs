//! Hooks of the app that are commands: they run in its container, when the drain is over.

use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::names::{HOLD_CONTAINER, SIDECAR_CONTAINER};
use ebb_api::phase::Outcome;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::web::Web;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::fixtures::{injected_pod, policy, protected, web};
use crate::leaving::Leaving;

/// The program that the sample application's image has, and nothing beside it.
const PROGRAM: &str = "/ebb-sample-app";

/// A preStop hook that is this command.
fn command(words: &[&str]) -> Value {
    json!({"lifecycle": {"preStop": {"exec": {"command": words}}}})
}

/// The application as a user of its own, who can write nowhere, as Pod Security `restricted` wants
/// it. The image has no shell.
fn restricted(web: Web) -> Web {
    let container = json!({"securityContext": {
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "runAsGroup": 4321,
        "runAsUser": 4321,
    }});
    web.container(container).pod(json!({"securityContext": {
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    }}))
}

/// What kubelet says of preStop hooks that failed.
async fn failures(namespace: &TestNamespace, pod: &str) -> Result<String> {
    let selector = format!("reason=FailedPreStopHook,involvedObject.name={pod}");
    let arguments = ["get", "events", "--field-selector", &selector, "-o", "name"];
    namespace.kubectl(&arguments).await
}

/// In a container without a shell, with a read-only file system and a user of its own, in a
/// namespace that is `restricted`: the pod starts, a request in flight completes before the command
/// runs, and kubelet learns how the command ended.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_command_runs_when_the_drain_is_over() {
    in_parallel("commands", async |namespace| {
        let level = "pod-security.kubernetes.io/enforce=restricted";
        let label = ["label", "namespace", &namespace.name, level];
        namespace.cluster.kubectl(&label).await?;
        // The option is none of the program's, which says so and fails; `--help` does well.
        for (name, option, fails) in [("bad", "--no-such-option", true), ("good", "--help", false)]
        {
            let web = web(namespace, name).container(command(&[PROGRAM, option]));
            let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 60}));
            let leaving = leaving.app(restricted(web)).request("/slow?seconds=8");
            let mut leaving = leaving.ready().await?;
            leaving.delete().await?;
            leaving.answer(Duration::from_secs(15)).await?;
            let drain = leaving.drain(Duration::from_secs(30)).await?;
            assert_eq!(drain.outcome, Outcome::Drained, "{drain:?}");
            let said = failures(namespace, name).await?;
            assert_eq!(!said.is_empty(), fails, "{name}: {said:?}");
        }
        Ok(())
    });
}

/// What `kubectl drain` thinks of the volume that this takes: a node is refused without the flag
/// that the docs name, and not with it; and a pod that leaves its command to kubelet has no such
/// volume, and says that a drain can't hold it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn kubectl_drain_asks_for_a_flag_unless_the_command_is_left_to_kubelet() {
    in_parallel("node-drain", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let held = web(namespace, "web").container(command(&[PROGRAM, "--help"]));
        let held = injected_pod(namespace, &held).await?;
        assert!(init_containers(&held).contains(&HOLD_CONTAINER));
        protected(namespace, "web", "AllProtected").await?;
        let node = held
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_deref());
        let node = node.context("the pod is on no node")?;
        let selector = "--pod-selector=app=web";
        // Nothing is evicted, and the node stays open.
        let drain = ["drain", node, "--dry-run=server", "--force", selector];
        let error = namespace.cluster.kubectl(&drain).await.err();
        let error = format!("{:#}", error.context("the node was drained")?);
        assert!(error.contains("local storage"), "{error}");
        let flag = [&drain[..], &["--delete-emptydir-data"]].concat();
        namespace.cluster.kubectl(&flag).await?;

        let mut left = web(namespace, "web").bare_pod();
        left.metadata.name = Some("left".to_owned());
        left.metadata.annotations = Some([("ebb.dev/own-hook", "leave")].map(owned).into());
        let hook = &command(&[PROGRAM, "--help"])["lifecycle"];
        if let Some(container) = left
            .spec
            .as_mut()
            .and_then(|spec| spec.containers.first_mut())
        {
            container.lifecycle = serde_json::from_value(hook.clone())?;
        }
        namespace.create_object(&left).await?;
        let left = pods::ready(namespace, "left").await?;
        let names = init_containers(&left);
        assert!(names.contains(&SIDECAR_CONTAINER) && !names.contains(&HOLD_CONTAINER));
        let message = protected(namespace, "web", "OwnHook").await?;
        assert!(message.contains("left (app)"), "{message}");
        Ok(())
    });
}

fn init_containers(pod: &Pod) -> Vec<&str> {
    let spec = pod.spec.iter();
    let containers = spec.flat_map(|spec| spec.init_containers.iter().flatten());
    containers.map(|container| &*container.name).collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
