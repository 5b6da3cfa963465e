//! The rules of a DrainPolicy, as the API server applies them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use ebb_api::policy::DrainPolicy;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

/// The policy with this spec as the API server would make it.
async fn tried(
    namespace: &TestNamespace,
    spec: &Value,
) -> std::result::Result<DynamicObject, kube::Error> {
    let kind = ApiResource::erase::<DrainPolicy>(&());
    let policies: Api<DynamicObject> =
        Api::namespaced_with(namespace.cluster.client.clone(), &namespace.name, &kind);
    let policy = DynamicObject::new("policy", &kind).data(json!({"spec": spec}));
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    policies.create(&dry_run, &policy).await
}

/// What the API server says to a policy with this spec; `None` if it takes it.
async fn verdict(namespace: &TestNamespace, spec: &Value) -> Result<Option<String>> {
    match tried(namespace, spec).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(Some(status.message)),
        Err(error) => Err(error).context("the API server did not judge the policy"),
    }
}

/// A part of each rule's sentence, and specs that the rule refuses.
const REFUSED: [(&str, &[&str]); 21] = [
    (
        "timeoutSeconds is the longest drain: 1 to 3600 seconds",
        &[
            r#"{"selector": {}, "timeoutSeconds": 0}"#,
            r#"{"selector": {}, "timeoutSeconds": 3601}"#,
            r#"{"selector": {}, "timeoutSeconds": -1}"#,
        ],
    ),
    (
        "shutdownSeconds is the time the app gets",
        &[
            r#"{"selector": {}, "shutdownSeconds": -1}"#,
            r#"{"selector": {}, "shutdownSeconds": 3601}"#,
        ],
    ),
    (
        "minSeconds is the least length",
        &[r#"{"selector": {}, "deregistration": {"minSeconds": -1}}"#],
    ),
    (
        "quietSeconds is how long",
        &[r#"{"selector": {}, "deregistration": {"quietSeconds": 301}}"#],
    ),
    (
        "idleSeconds is how long idle HTTP/1 clients are waited for: 0 to 300 seconds",
        &[
            r#"{"selector": {}, "deregistration": {"idleSeconds": 301}}"#,
            r#"{"selector": {}, "deregistration": {"idleSeconds": -1}}"#,
        ],
    ),
    (
        "idleSeconds is the silence that makes an opaque connection idle: 1 to 3600",
        &[
            r#"{"selector": {}, "connections": {"idleSeconds": 0}}"#,
            r#"{"selector": {}, "connections": {"idleSeconds": 3601}}"#,
        ],
    ),
    (
        "paceSeconds is the time over which goodbyes are spread: 0 to 3600 seconds",
        &[
            r#"{"selector": {}, "connections": {"paceSeconds": -1}}"#,
            r#"{"selector": {}, "connections": {"paceSeconds": 3601}}"#,
        ],
    ),
    (
        "webSockets: Unsupported value",
        &[r#"{"selector": {}, "connections": {"webSockets": "End"}}"#],
    ),
    (
        "webSocketCode is what a server may close a WebSocket with: 1000 to 1003, 1007 to 1009",
        &[
            r#"{"selector": {}, "connections": {"webSocketCode": 1006}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": -1}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 999}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 1004}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 1005}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 1010}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 1015}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 2999}}"#,
            r#"{"selector": {}, "connections": {"webSocketCode": 5000}}"#,
        ],
    ),
    (
        "eventStreams: Unsupported value",
        &[r#"{"selector": {}, "connections": {"eventStreams": "Goodbye"}}"#],
    ),
    (
        "atTimeout: Unsupported value",
        &[r#"{"selector": {}, "connections": {"atTimeout": "close"}}"#],
    ),
    (
        "maxSeconds is the greatest length",
        &[r#"{"selector": {}, "deregistration": {"maxSeconds": 3601}}"#],
    ),
    (
        "minSeconds must not be larger than maxSeconds",
        &[
            r#"{"selector": {}, "deregistration": {"minSeconds": 20, "maxSeconds": 10}}"#,
            r#"{"selector": {}, "deregistration": {"minSeconds": 31}}"#,
        ],
    ),
    (
        "excludePorts are TCP ports: 1 to 65535",
        &[
            r#"{"selector": {}, "capture": {"excludePorts": [0]}}"#,
            r#"{"selector": {}, "capture": {"excludePorts": [80, 65536]}}"#,
        ],
    ),
    (
        "proxyProtocolPorts are TCP ports: 1 to 65535",
        &[r#"{"selector": {}, "capture": {"proxyProtocolPorts": [70000]}}"#],
    ),
    (
        "spec.capture.mode: Unsupported value: \"Magic\": supported values: \"Auto\", \
         \"Transparent\", \"Redirect\", \"NamedPorts\", \"Observe\"",
        &[r#"{"selector": {}, "capture": {"mode": "Magic"}}"#],
    ),
    (
        "does not pass the sidecar",
        &[
            r#"{"selector": {}, "capture": {"excludePorts": [80, 5432], "proxyProtocolPorts": [5432]}}"#,
        ],
    ),
    (
        "operator must be one of",
        &[r#"{"selector": {"matchExpressions": [{"key": "app", "operator": "Foo"}]}}"#],
    ),
    (
        "name at least one",
        &[
            r#"{"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}"#,
            r#"{"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": []}]}}"#,
        ],
    ),
    (
        "look at the key alone",
        &[
            r#"{"selector": {"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["web"]}]}}"#,
        ],
    ),
    ("selector", &[r#"{"timeoutSeconds": 10}"#]),
];

/// Every rule has a sentence of its own, and says it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn nonsense_is_refused_with_a_sentence() {
    in_parallel("refused", async |namespace| {
        let sentences: BTreeSet<_> = REFUSED.iter().map(|(sentence, _)| sentence).collect();
        assert_eq!(sentences.len(), REFUSED.len(), "each has one of its own");
        let cases = REFUSED
            .iter()
            .flat_map(|(sentence, specs)| specs.iter().map(move |spec| (*sentence, *spec)));
        for (sentence, spec) in cases {
            let said = verdict(namespace, &serde_json::from_str(spec)?)
                .await?
                .with_context(|| format!("it takes {spec}"))?;
            assert!(said.contains(sentence), "{spec}: {said}");
            assert!(said.contains("\"policy\""), "it names the policy: {said}");
        }
        Ok(())
    });
}

/// A policy that no controller has seen is of no generation, so that whoever waits for it by
/// kstatus' rules does not take it for ready.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_policy_that_nobody_has_seen_is_not_ready() {
    in_parallel("unseen", async |namespace| {
        let made = tried(namespace, &json!({"selector": {}})).await?;
        assert_eq!(made.data["status"]["observedGeneration"], -1);
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
                    "webSocketCode": 1000, "eventStreams": "Wait", "atTimeout": "Reset",
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
                    "webSocketCode": 4999, "eventStreams": "End", "atTimeout": "Handover",
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
