//! The webhook as the API server meets it: over TLS, with a certificate that changes meanwhile.

use super::*;
use crate::certificate::tests::{Authority, certified};
use crate::keyring;
use crate::server::bind;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ebb_api::names::Inject;
use ebb_model::views::NamespaceLabels;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

fn admission() -> Admission {
    let sidecar = json!({
        "image": "registry.example/ebb-sidecar:1.2.3",
        "redirect": true,
        "resources": {"guaranteed": {"cpu": "200m", "memory": "128Mi"}},
    });
    let sidecar: SidecarConfig = serde_json::from_value(sidecar).unwrap();
    let cluster = SharedCluster::default();
    cluster.write(|cluster| {
        let labels = NamespaceLabels {
            inject: Inject::Enabled,
            ..NamespaceLabels::default()
        };
        cluster.set_labels("shop", labels);
    });
    Admission {
        cluster: Arc::new(cluster),
        keyring: watch::channel(Arc::new(keyring::tests::keyring())).1,
        sidecar,
        metrics: Metrics::register(&mut Registry::default()),
    }
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "app", "image": "web:1"}], "fieldOfTomorrow": 1}})
}

fn review(object: &Value) -> Vec<u8> {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u1", "namespace": "shop", "operation": "CREATE", "dryRun": true, "object": object}});
    review.to_string().into_bytes()
}

/// Calls the webhook once over a connection of its own, as the API server would.
async fn call(address: SocketAddr, authority: &Authority, body: Vec<u8>) -> (u16, Value) {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("ebb-webhook.ebb-system.svc").unwrap();
    let connection = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, connection).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::post(INJECT_PATH)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// A patch from the wire makes of the pod what was decided, and touches nothing else.
#[tokio::test]
async fn a_review_is_answered_under_a_changing_certificate() {
    let first = Authority::new();
    let (certificates, served) = watch::channel(certified(&first));
    let loopback = "127.0.0.1:0".parse().unwrap();
    let bound = bind(port(loopback, served)).await.unwrap();
    let address = bound.address();
    let stop = CancellationToken::new();
    let mut server = JoinSet::new();
    server.spawn(bound.serve(router(admission()), stop.clone()));

    let (status, answer) = call(address, &first, review(&pod())).await;
    assert_eq!(status, 200);
    assert_eq!(answer["response"]["uid"], "u1");
    assert_eq!(answer["response"]["allowed"], true);
    let patch = BASE64
        .decode(answer["response"]["patch"].as_str().unwrap())
        .unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut patched = pod();
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched["spec"]["initContainers"][1]["name"], "ebb");
    assert_eq!(patched["spec"]["fieldOfTomorrow"], 1);

    // Another certificate, by an authority that the first client would not trust: the very next
    // handshake gets it, on the port that was open all the time.
    let second = Authority::new();
    certificates.send_replace(certified(&second));
    let (status, answer) = call(address, &second, review(&pod())).await;
    assert_eq!(
        (status, &answer["response"]["allowed"]),
        (200, &json!(true))
    );

    // Asked to stop, it still answers: API servers learn of it later than we do.
    stop.cancel();
    let (status, _) = call(address, &second, review(&pod())).await;
    assert_eq!(status, 200);
    tokio::time::pause();
    server.join_all().await;
    let refused = TcpStream::connect(address).await;
    assert!(refused.is_err(), "the port is closed at the end");
}

/// Whoever makes a pod is told which of its annotations can't be used, and the pod is made.
#[test]
fn an_annotation_that_cannot_be_used_is_a_warning() {
    let admission = admission();
    let response = |annotations: Value| {
        let mut object = pod();
        object["metadata"]["annotations"] = annotations;
        let inject = |pod: &ReviewedPod, namespace: &str| admission.inject(pod, namespace);
        let answer = review::answer(&review(&object), inject);
        assert_eq!(answer.outcome, "Injected");
        let answer: Value = serde_json::from_slice(&answer.body.unwrap()).unwrap();
        answer["response"].clone()
    };
    let response_to_one = response(json!({"ebb.dev/sidecar-cpu": "many"}));
    assert_eq!(response_to_one["allowed"], true);
    let said = "Ebb ignores an annotation of pod web: ebb.dev/sidecar-cpu is \"many\", not cores, \
                such as 100m or 0.5";
    assert_eq!(response_to_one["warnings"], json!([said]));
    let good = response(json!({"ebb.dev/sidecar-cpu": "1", "ebb.dev/own-hook": "start"}));
    assert!(good.get("warnings").is_none(), "{good}");
}

/// Whatever cannot be read or need not be touched is allowed, without a patch.
#[test]
fn whatever_goes_wrong_is_allowed() {
    let admission = admission();
    let ask = |body: &[u8]| review::answer(body, |pod, namespace| admission.inject(pod, namespace));
    for (object, outcome) in [
        (json!(null), "Undecodable"),
        (json!("pod"), "Undecodable"),
        (json!({"kind": "Node"}), "Undecodable"),
        (json!({"metadata": {}}), "Undecodable"),
        (json!({"spec": {"containers": "many"}}), "Undecodable"),
        (
            json!({"metadata": {"labels": {"ebb.dev/inject": "disabled"}}, "spec": {"containers": []}}),
            "OptedOut",
        ),
    ] {
        let answer = ask(&review(&object));
        assert_eq!(answer.outcome, outcome, "{object}");
        let body: Value = serde_json::from_slice(&answer.body.unwrap()).unwrap();
        assert_eq!(
            body["response"],
            json!({"uid": "u1", "allowed": true}),
            "{object}"
        );
    }
    for garbage in [&b""[..], b"garbage", b"{}", b"[]", b"{\"request\":{}}"] {
        let answer = ask(garbage);
        assert_eq!((answer.body, answer.outcome), (None, "Undecodable"));
    }
}

/// Tokens are long, and no two pods have the same.
#[test]
fn tokens_differ() {
    let (first, second) = (token().unwrap(), token().unwrap());
    assert_eq!(first.len(), 32);
    assert_ne!(first, second);
}
