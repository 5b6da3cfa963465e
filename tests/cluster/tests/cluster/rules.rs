//! The rules of a DrainPolicy, as the API server applies them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use ebb_api::policy::DrainPolicy;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Resource as _};
use serde_json::{Value, json};

/// What the API server says to a policy with this spec; nothing if it takes it.
async fn verdict(namespace: &TestNamespace, spec: &Value) -> Result<Option<String>> {
    let kind = ApiResource::erase::<DrainPolicy>(&());
    let policies: Api<DynamicObject> =
        Api::namespaced_with(namespace.cluster.client.clone(), &namespace.name, &kind);
    let policy: DynamicObject = serde_json::from_value(json!({
        "apiVersion": DrainPolicy::api_version(&()), "kind": DrainPolicy::kind(&()),
        "metadata": {"name": "policy"}, "spec": spec,
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match policies.create(&dry_run, &policy).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(Some(status.message)),
        Err(error) => Err(error).context("the API server did not judge the policy"),
    }
}

/// Every rule has a sentence of its own, and says it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn nonsense_is_refused_with_a_sentence() {
    in_parallel("refused", async |namespace| {
        let expression = |fields: Value| json!({"selector": {"matchExpressions": [fields]}});
        let with = |field: &str, value: Value| json!({"selector": {}, field: value});
        let cases = [
            (
                with("timeoutSeconds", json!(0)),
                "timeoutSeconds is the longest drain: 1 to 3600 seconds",
            ),
            (
                with("timeoutSeconds", json!(3601)),
                "timeoutSeconds is the longest drain: 1 to 3600 seconds",
            ),
            (
                with("timeoutSeconds", json!(-1)),
                "timeoutSeconds is the longest drain: 1 to 3600 seconds",
            ),
            (
                with("shutdownSeconds", json!(-1)),
                "shutdownSeconds is the time the app gets",
            ),
            (
                with("shutdownSeconds", json!(3601)),
                "shutdownSeconds is the time the app gets",
            ),
            (
                with("deregistration", json!({"minSeconds": -1})),
                "minSeconds is the least length",
            ),
            (
                with("deregistration", json!({"quietSeconds": 301})),
                "quietSeconds is how long",
            ),
            (
                with("deregistration", json!({"idleSeconds": 301})),
                "idleSeconds is how long idle HTTP/1 clients are waited for: 0 to 300 seconds",
            ),
            (
                with("deregistration", json!({"idleSeconds": -1})),
                "idleSeconds is how long idle HTTP/1 clients are waited for: 0 to 300 seconds",
            ),
            (
                with("connections", json!({"idleSeconds": 0})),
                "idleSeconds is the silence that makes an opaque connection idle: 1 to 3600",
            ),
            (
                with("connections", json!({"idleSeconds": 3601})),
                "idleSeconds is the silence that makes an opaque connection idle: 1 to 3600",
            ),
            (
                with("connections", json!({"paceSeconds": -1})),
                "paceSeconds is the time over which goodbyes are spread: 0 to 3600 seconds",
            ),
            (
                with("connections", json!({"paceSeconds": 3601})),
                "paceSeconds is the time over which goodbyes are spread: 0 to 3600 seconds",
            ),
            (
                with("connections", json!({"webSockets": "End"})),
                "webSockets: Unsupported value",
            ),
            (
                with("connections", json!({"eventStreams": "Goodbye"})),
                "eventStreams: Unsupported value",
            ),
            (
                with("connections", json!({"atTimeout": "close"})),
                "atTimeout: Unsupported value",
            ),
            (
                with("deregistration", json!({"maxSeconds": 3601})),
                "maxSeconds is the greatest length",
            ),
            (
                with(
                    "deregistration",
                    json!({"minSeconds": 20, "maxSeconds": 10}),
                ),
                "minSeconds must not be larger than maxSeconds",
            ),
            (
                with("deregistration", json!({"minSeconds": 31})),
                "minSeconds must not be larger than maxSeconds",
            ),
            (
                with("capture", json!({"excludePorts": [0]})),
                "excludePorts are TCP ports: 1 to 65535",
            ),
            (
                with("capture", json!({"excludePorts": [80, 65536]})),
                "excludePorts are TCP ports: 1 to 65535",
            ),
            (
                with("capture", json!({"proxyProtocolPorts": [70000]})),
                "proxyProtocolPorts are TCP ports: 1 to 65535",
            ),
            (
                with(
                    "capture",
                    json!({"excludePorts": [80, 5432], "proxyProtocolPorts": [5432]}),
                ),
                "does not pass the sidecar",
            ),
            (
                expression(json!({"key": "app", "operator": "Foo"})),
                "operator must be one of",
            ),
            (
                expression(json!({"key": "app", "operator": "In"})),
                "name at least one",
            ),
            (
                expression(json!({"key": "app", "operator": "NotIn", "values": []})),
                "name at least one",
            ),
            (
                expression(json!({"key": "app", "operator": "Exists", "values": ["web"]})),
                "look at the key alone",
            ),
            (json!({"timeoutSeconds": 10}), "selector"),
        ];
        let mut sentences = BTreeSet::new();
        for (spec, sentence) in &cases {
            let said = verdict(namespace, spec)
                .await?
                .with_context(|| format!("it takes {spec}"))?;
            assert!(said.contains(sentence), "{spec}: {said}");
            sentences.insert(sentence);
        }
        assert_eq!(sentences.len(), 19, "every rule was asked");
        Ok(())
    });
}

/// What is at the ends of the ranges, and what leaves everything out, is taken.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn sense_is_taken() {
    in_parallel("taken", async |namespace| {
        for spec in [
            json!({"selector": {}}),
            json!({"selector": {"matchLabels": {"app": "web"}}, "timeoutSeconds": 1}),
            json!({
                "selector": {},
                "deregistration": {"idleSeconds": 0},
                "connections": {
                    "idleSeconds": 1, "paceSeconds": 0, "webSockets": "Goodbye",
                    "eventStreams": "Wait", "atTimeout": "Reset",
                },
            }),
            json!({"selector": {}, "connections": {"atTimeout": "Close"}}),
            json!({
                "selector": {"matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["web"]},
                    {"key": "canary", "operator": "DoesNotExist"},
                ]},
                "enabled": false,
                "timeoutSeconds": 3600,
                "shutdownSeconds": 0,
                "deregistration": {
                    "minSeconds": 3600, "quietSeconds": 300, "idleSeconds": 300, "maxSeconds": 3600,
                },
                "connections": {
                    "idleSeconds": 3600, "paceSeconds": 3600, "webSockets": "Wait",
                    "eventStreams": "End", "atTimeout": "Handover",
                },
                "capture": {"excludePorts": [1, 65535], "proxyProtocolPorts": [5432]},
            }),
        ] {
            let said = verdict(namespace, &spec).await?;
            assert_eq!(said, None, "{spec}");
        }
        Ok(())
    });
}
