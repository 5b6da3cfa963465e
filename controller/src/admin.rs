//! The controller's own port: `/livez` (the process answers), `/readyz` (caches are filled and the
//! API server trusts the webhook) and `/metrics`. All of it is read-only.

use crate::readiness::Readiness;
use crate::server::Port;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Kubelet and Prometheus keep a few at most.
const MOST_CONNECTIONS: usize = 256;

/// What the port shows.
#[derive(Debug)]
struct Shown {
    readiness: Readiness,
    registry: Registry,
}

/// The controller's own port.
pub fn port(address: SocketAddr) -> Port {
    Port {
        name: "admin port",
        address,
        tls: None,
        most_connections: MOST_CONNECTIONS,
        // A process that ends has no more to show; kubelet and Prometheus cope with a closed port.
        linger: Duration::ZERO,
    }
}

/// Answers `/livez`, `/readyz` and `/metrics`.
pub fn router(readiness: Readiness, registry: Registry) -> Router {
    let shown = Arc::new(Shown {
        readiness,
        registry,
    });
    Router::new()
        .route("/livez", get("ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(shown)
}

async fn ready(State(shown): State<Arc<Shown>>) -> (StatusCode, String) {
    let waiting = shown.readiness.waiting();
    if waiting.is_empty() {
        return (StatusCode::OK, "ok".to_owned());
    }
    let waiting: Vec<_> = waiting.into_iter().collect();
    let why = format!("waiting for: {}", waiting.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, why)
}

async fn metrics(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let mut text = String::new();
    encode(&mut text, &shown.registry).expect("a string takes all that is written to it");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::bind;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    /// How long anything may take here; all of it is on loopback.
    const SOON: Duration = Duration::from_secs(10);
    /// Less than the 5 s that a silent client is borne for.
    const SOONER_THAN_FOR_SILENCE: Duration = Duration::from_millis(2500);

    async fn answer(client: &mut TcpStream) -> String {
        let mut answer = String::new();
        let request = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let read = tokio::time::timeout(SOON, client.read_to_string(&mut answer));
        read.await.expect("no answer").unwrap();
        answer
    }

    /// Strangers that open many connections and send nothing give way to one that asks; and the end
    /// does not wait for silent connections.
    #[tokio::test]
    async fn idle_strangers_keep_no_probe_out() {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = bind(port(loopback)).await.unwrap();
        let (address, stop) = (bound.address(), CancellationToken::new());
        let router = router(Readiness::default(), Registry::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(bound.serve(router, stop.clone()));
        let mut strangers = Vec::new();
        for _ in 0..MOST_CONNECTIONS + 5 {
            strangers.push(TcpStream::connect(address).await.unwrap());
        }
        let mut probe = TcpStream::connect(address).await.unwrap();
        let answer = answer(&mut probe).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let mut first = strangers.remove(0);
        let hung_up = tokio::time::timeout(SOONER_THAN_FOR_SILENCE, first.read_u8());
        assert!(hung_up.await.expect("it is still open").is_err());
        stop.cancel();
        let ended = tokio::time::timeout(SOON, tasks.join_next());
        ended.await.expect("it serves on").unwrap().unwrap();
    }
}
