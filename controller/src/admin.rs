//! The controller's own port: `/livez` (the process answers), `/readyz` (it is of use: caches
//! filled, webhook trusted) and `/metrics`. It changes nothing.

use crate::readiness::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the port shows.
#[derive(Debug)]
struct Shown {
    readiness: Readiness,
    registry: Registry,
}

/// Serves until `stop` is cancelled and the last answer is out.
///
/// # Errors
///
/// Fails if the listener does.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    registry: Registry,
    stop: CancellationToken,
) -> io::Result<()> {
    let shown = Arc::new(Shown {
        readiness,
        registry,
    });
    axum::serve(listener, router(shown))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
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
