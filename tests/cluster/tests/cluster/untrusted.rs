//! What somebody may try who reaches a pod over the network: refused, logged, and nothing changes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_api::desired::{Desired, Endpoints, Leave, Revision, Services};
use ebb_api::names::{
    ADMIN_PORT, KEY_ANNOTATION, KEY_HEADER, RELAY_PORT, SIGNATURE_HEADER, hook_path,
};
use ebb_api::phase::{Phase, Trigger};
use ebb_api::report::Report;
use ebb_api::settings::Settings;
use ebb_cluster::client::{Client, End, ask, ask_with};
use ebb_cluster::eventually;
use ebb_cluster::installation;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods::{self, PodRecorder};
use ebb_cluster::web::{ECHO_PORT, HTTP_PORT};
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use ring::signature::Ed25519KeyPair;
use serde_json::json;

use crate::fixtures::{injected_pod, policy, protected, web};

const LIMIT: Duration = Duration::from_secs(10);

/// The controller's own key for a pod: with it, a test can be as wrong as a controller could be.
async fn signing_key(namespace: &TestNamespace, pod: &Pod) -> Result<(String, Ed25519KeyPair)> {
    let annotations = pod.metadata.annotations.as_ref();
    let id = annotations
        .and_then(|all| all.get(KEY_ANNOTATION))
        .context("the pod names no key")?;
    let secret = namespace
        .cluster
        .api::<Secret>(installation::NAMESPACE)
        .get("ebb-keyring")
        .await?;
    let data = secret.data.unwrap_or_default();
    let key = data
        .get(id)
        .with_context(|| format!("the keyring has no key {id}"))?;
    let key = Ed25519KeyPair::from_pkcs8(&key.0)
        .ok()
        .context("the keyring's key is no key")?;
    Ok((id.clone(), key))
}

/// A desired state that would make the pod leave, newer than all before.
fn leave(report: &Report) -> Desired {
    Desired {
        pod: report.pod.clone(),
        boot: report.boot.clone(),
        revision: Revision::new(report.revision.term + 1_000, 0),
        settings: Settings {
            policy: Some("web".to_owned()),
            enabled: true,
            ..Settings::without_policy()
        },
        leave: Some(Leave {
            trigger: Trigger::Deleted,
            grace_seconds: None,
        }),
        endpoints: Endpoints::NotServing,
        services: Services::default(),
    }
}

async fn put(address: SocketAddr, body: &str, key: &str, signature: &str) -> Result<String> {
    let headers = [(KEY_HEADER, key), (SIGNATURE_HEADER, signature)];
    let answer = ask_with(address, "PUT", "/v1/desired", &headers, body, LIMIT).await?;
    Ok(answer.split("\r\n").next().unwrap_or_default().to_owned())
}

async fn assert_unmoved(pod: &Pod, before: &Report) -> Result<()> {
    let after = pods::report(pod).await?;
    assert_eq!((after.phase, &after.leaving), (Phase::Serving, &None));
    assert_eq!(
        (&after.boot, after.last),
        (&before.boot, before.last.clone())
    );
    // The controller may have put a newer revision meanwhile; a stranger's would be a thousand
    // ahead.
    assert_eq!(after.revision.term, before.revision.term);
    let answer = ask(pods::address(pod, HTTP_PORT)?, "POST", "/", LIMIT).await?;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    Ok(())
}

/// A desired state with a wrong signature, another key, none at all, an old revision, another pod's
/// state, or no meaning: each is refused with its own status, and logged.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn only_the_controller_s_newest_word_for_this_pod_counts() {
    in_parallel("desired", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let pod = injected_pod(namespace, &web(namespace, "web")).await?;
        protected(namespace, "web", "AllProtected").await?;
        let recorder = PodRecorder::of(namespace, "web", &["ebb"]).await?;
        let address = pods::address(&pod, ADMIN_PORT)?;
        let before = pods::report(&pod).await?;
        let (id, key) = signing_key(namespace, &pod).await?;
        let sign = |body: &str| BASE64_STANDARD.encode(key.sign(body.as_bytes()));
        let wanted = serde_json::to_string(&leave(&before))?;

        let forged = BASE64_STANDARD.encode([7; 64]);
        let of_another_body = sign("{}");
        let old = serde_json::to_string(&Desired {
            revision: Revision::new(0, 0),
            ..leave(&before)
        })?;
        let foreign = serde_json::to_string(&Desired {
            pod: "another".to_owned(),
            ..leave(&before)
        })?;
        let of_another_start = serde_json::to_string(&Desired {
            boot: "another".to_owned(),
            ..leave(&before)
        })?;
        for (what, body, key, signature, status) in [
            (
                "a forged signature",
                wanted.as_str(),
                id.as_str(),
                forged,
                401,
            ),
            (
                "another body's signature",
                &wanted,
                &id,
                of_another_body,
                401,
            ),
            ("no signature", &wanted, &id, String::new(), 401),
            ("another key", &wanted, "another", sign(&wanted), 401),
            ("an old revision", &old, &id, sign(&old), 409),
            (
                "another start's state",
                &of_another_start,
                &id,
                sign(&of_another_start),
                409,
            ),
            ("another pod's state", &foreign, &id, sign(&foreign), 403),
            ("signed garbage", "garbage", &id, sign("garbage"), 400),
        ] {
            let answer = put(address, body, key, &signature).await?;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{what}: {answer}"
            );
            assert_unmoved(&pod, &before).await.context(what)?;
        }
        let logged = || {
            recorder
                .lines("ebb")
                .iter()
                .filter(|line| line.text.contains("desired state refused"))
                .count()
        };
        recorder.line("ebb", "desired state refused", LIMIT).await?;
        eventually("eight refusals in the log", LIMIT, async || {
            anyhow::ensure!(logged() == 8, "{} are there", logged());
            Ok(())
        })
        .await
    });
}

/// A hook call without the pod's token, or with another, is refused at once and drains nothing.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_hook_call_without_the_token_is_refused() {
    in_parallel("hooks", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let pod = injected_pod(namespace, &web(namespace, "web")).await?;
        let recorder = PodRecorder::of(namespace, "web", &["ebb"]).await?;
        let address = pods::address(&pod, ADMIN_PORT)?;
        let before = pods::report(&pod).await?;
        for container in ["app", "ebb"] {
            let path = hook_path(container);
            for headers in [&[][..], &[("ebb-token", "guessed")], &[("ebb-token", "")]] {
                let answer = ask_with(address, "GET", &path, headers, "", LIMIT).await?;
                assert!(
                    answer.starts_with("HTTP/1.1 401 "),
                    "{path} {headers:?}: {answer}"
                );
            }
        }
        recorder.line("ebb", "hook call refused", LIMIT).await?;
        assert_unmoved(&pod, &before).await
    });
}

/// Bytes of no protocol on every port of a pod and of the controller: each connection ends or is
/// the app's own affair, Ebb's own ports log it, no container restarts, and the pod serves on.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn garbage_on_any_port_changes_nothing() {
    in_parallel("garbage", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let pod = injected_pod(namespace, &web(namespace, "web")).await?;
        protected(namespace, "web", "AllProtected").await?;
        let recorder = PodRecorder::of(namespace, "web", &["ebb"]).await?;
        let before = pods::report(&pod).await?;
        let selector = ListParams::default().labels(installation::SELECTOR);
        let controllers = namespace
            .cluster
            .api::<Pod>(installation::NAMESPACE)
            .list(&selector)
            .await?;
        let controller = controllers.items.first().context("no controller runs")?;
        // The controller's log may tell of an earlier run, too.
        let start = Timestamp::now();

        let mut targets = Vec::new();
        for port in [ADMIN_PORT, RELAY_PORT, HTTP_PORT, ECHO_PORT] {
            targets.push(pods::address(&pod, port)?);
        }
        for port in [9443, 9444] {
            targets.push(pods::address(controller, port)?);
        }
        for address in targets {
            for garbage in garbage() {
                throw(address, &garbage).await;
            }
        }

        recorder.line("ebb", "not HTTP", LIMIT).await?;
        logged_since(namespace, controller, start, "the webhook's port: no TLS").await?;
        logged_since(namespace, controller, start, "admin port: not HTTP").await?;
        assert_unmoved(&pod, &before).await?;
        for (of, name) in [
            (namespace.name.as_str(), pod.metadata.name.as_deref()),
            (installation::NAMESPACE, controller.metadata.name.as_deref()),
        ] {
            let name = name.context("a pod without a name")?;
            let pod = namespace.cluster.api::<Pod>(of).get(name).await?;
            let status = pod.status.unwrap_or_default();
            let all = status
                .init_container_statuses
                .into_iter()
                .chain(status.container_statuses);
            for container in all.flatten() {
                assert_eq!(
                    container.restart_count, 0,
                    "{name}/{} was restarted",
                    container.name
                );
            }
        }
        // The webhook answers still: another pod is injected.
        policy(namespace, "next", json!({})).await?;
        injected_pod(namespace, &web(namespace, "next")).await?;
        Ok(())
    });
}

/// Waits until the controller has logged a line with `part` after `start`.
async fn logged_since(
    namespace: &TestNamespace,
    controller: &Pod,
    start: Timestamp,
    part: &str,
) -> Result<()> {
    let name = controller.metadata.name.as_deref();
    let name = name.context("a pod without a name")?;
    let since = format!("--since-time={start:.0}");
    let arguments = ["-n", installation::NAMESPACE, "logs", name, &since];
    eventually(&format!("{name} to log {part:?}"), LIMIT, async || {
        let log = namespace.cluster.kubectl(&arguments).await?;
        anyhow::ensure!(log.contains(part), "it logged\n{log}");
        Ok(())
    })
    .await
}

/// A connection made straight to the relay's own port is reset: it has no destination but itself.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn the_relay_s_own_port_resets_connections() {
    in_parallel("relay-port", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 30})).await?;
        let pod = injected_pod(namespace, &web(namespace, "web")).await?;
        let before = pods::report(&pod).await?;
        for _ in 0..20 {
            let Ok(mut client) = Client::connect(pods::address(&pod, RELAY_PORT)?).await else {
                continue;
            };
            // A reset is told once, to whoever touches the socket first; the other sees the end.
            let sent = client.request("GET", "/").await;
            let answer = client.read_until("\0never", LIMIT).await?;
            assert_eq!(answer.text, "");
            assert!(sent.is_err() || answer.end == End::Reset, "it ended well");
        }
        assert_unmoved(&pod, &before).await
    });
}

/// Bytes that are nothing, almost something, or too much of something.
fn garbage() -> Vec<String> {
    vec![
        "\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
        "GET".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "PUT /v1/desired HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n"
            .to_owned(),
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(20_000)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u{1}\u{2}\u{3}".to_owned(),
        "\u{16}\u{3}\u{1}".to_owned(),
    ]
}

/// Sends it and takes what comes for a moment. Whether the other side answers, closes, resets or
/// says nothing is its own affair; what counts is what is so afterwards.
async fn throw(address: SocketAddr, garbage: &str) {
    if let Ok(mut client) = Client::connect(address).await {
        let _sent = tokio::time::timeout(Duration::from_secs(1), client.send(garbage)).await;
        let _taken = client
            .read_until("\0never", Duration::from_millis(100))
            .await;
    }
}
