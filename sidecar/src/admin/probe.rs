//! Kubelet's probes.

use super::Body;
use super::response::sentence;
use crate::lifecycle::Published;
use hyper::{Response, StatusCode};
use tokio::sync::watch;

/// The process answers.
pub(super) fn live() -> Response<Body> {
    sentence(StatusCode::OK, "live")
}

/// Whether new connections are wanted here, as far as readiness is what says so.
pub(super) fn ready(published: &watch::Receiver<Published>) -> Response<Body> {
    let published = published.borrow();
    if published.ready {
        sentence(StatusCode::OK, "ready")
    } else {
        let why = format!("not ready: the pod is leaving ({})", published.phase);
        sentence(StatusCode::SERVICE_UNAVAILABLE, &why)
    }
}
