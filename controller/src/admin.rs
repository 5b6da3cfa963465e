//! The controller's own port: `/livez` (the process answers), `/readyz` (it is of use: caches
//! filled, webhook trusted) and `/metrics`. It changes nothing.

use crate::log_limit::LogLimit;
use crate::readiness::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Kubelet and Prometheus keep a few at most. The oldest goes when there are more: whoever opens
/// many must not keep kubelet's probes out.
const MOST_CONNECTIONS: usize = 256;
/// How long the head of a request may take, and a connection may idle before it.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How much of a request is kept: a head of a probe has some hundred bytes.
const MOST_BUFFERED: usize = 16 * 1024;
/// After a failed accept, most likely for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What the port shows.
#[derive(Debug)]
struct Shown {
    readiness: Readiness,
    registry: Registry,
}

/// Serves until `stop` is cancelled and the last answer is out.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    registry: Registry,
    stop: CancellationToken,
) {
    let shown = Arc::new(Shown {
        readiness,
        registry,
    });
    let router = router(shown);
    let complaints = Arc::new(LogLimit::default());
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (connection, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "admin port: connection not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        oldest_first.retain(|task| !task.is_finished());
        if oldest_first.len() >= MOST_CONNECTIONS
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        let (router, stop) = (router.clone(), stop.clone());
        let complaints = Arc::clone(&complaints);
        let task = connections.spawn(async move {
            let Err(error) = serve_one(connection, router, stop).await else {
                return;
            };
            let written = error.is_parse().then(|| complaints.allow(Instant::now()));
            match written.flatten() {
                Some(left_out) => {
                    warn!(client.addr = %client, %error, left_out, "admin port: not HTTP, hung up");
                }
                None => debug!(client.addr = %client, %error, "admin port: connection ended"),
            }
        });
        oldest_first.push_back(task);
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_one(
    connection: TcpStream,
    router: Router,
    stop: CancellationToken,
) -> hyper::Result<()> {
    let router = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(TokioIo::new(connection), router);
    let mut served = pin!(served);
    tokio::select! {
        result = served.as_mut() => result,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    }
}

fn router(shown: Arc<Shown>) -> Router {
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// How long anything may take here; all of it is on loopback.
    const SOON: Duration = Duration::from_secs(10);

    async fn answer(client: &mut TcpStream) -> String {
        let mut answer = String::new();
        let request = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let read = tokio::time::timeout(SOON, client.read_to_string(&mut answer));
        read.await.expect("no answer").unwrap();
        answer
    }

    /// Strangers that open many connections and say nothing give way to one that asks; and the end
    /// waits for nobody who asks nothing.
    #[tokio::test]
    async fn idle_strangers_keep_no_probe_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (readiness, registry) = (Readiness::default(), Registry::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, readiness, registry, stop.clone()));
        let mut strangers = Vec::new();
        for _ in 0..MOST_CONNECTIONS + 5 {
            strangers.push(TcpStream::connect(address).await.unwrap());
        }
        let mut probe = TcpStream::connect(address).await.unwrap();
        let answer = answer(&mut probe).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let mut first = strangers.remove(0);
        // Sooner than for its silence.
        let hung_up = tokio::time::timeout(HEAD_TIME / 2, first.read_u8());
        assert!(hung_up.await.expect("it is still open").is_err());
        stop.cancel();
        let ended = tokio::time::timeout(SOON, tasks.join_next());
        ended.await.expect("it serves on").unwrap().unwrap();
    }
}
