//! The webhook that puts the sidecar into pods.
//!
//! The API server asks it about every pod that is made. It decodes, decides by a pure function, and
//! encodes; it never denies, and whatever goes wrong lets the pod through as it came: Ebb broken is
//! never worse than no Ebb.
//!
//! ```text
//!  API server --TLS--> server --> review (decode) --> inject (pure) --> review (encode) -->
//!                                        ^                  ^
//!                         cluster, keyring, sidecar      ReviewedPod
//! ```

pub mod inject;
mod metrics;
mod pod;
pub mod review;

pub use metrics::Metrics;
pub use pod::ReviewedPod;

use crate::certificate::{self, Served};
use crate::cluster::SharedCluster;
use crate::hexadecimal::hexadecimal;
use crate::keyring::Keyring;
use crate::server::Port;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ebb_model::plan::select::in_force;
use inject::{Context, Decision, InForce, SidecarConfig};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The path that the API server calls.
pub const INJECT_PATH: &str = "/inject";

/// The largest review that is read. The API server takes no object above 1.5 MiB or so, and sends
/// it once in a request to create it.
const LARGEST_REVIEW: usize = 3 << 20;

/// API servers keep a connection or a few each; more than this are not API servers.
const MOST_CONNECTIONS: usize = 1024;

/// How long calls are answered after the end was asked for: until no API server sends any here.
/// They learn of it about a second after us, and whoever is refused makes a pod without a sidecar.
const LINGER: Duration = Duration::from_secs(3);

/// What the webhook decides from.
#[derive(Debug)]
pub struct Admission {
    /// The views of namespaces and policies.
    pub cluster: Arc<SharedCluster>,
    /// The keys; new pods are injected with the current one.
    pub keyring: watch::Receiver<Arc<Keyring>>,
    /// Our containers.
    pub sidecar: SidecarConfig,
    /// What is counted.
    pub metrics: Metrics,
}

/// The webhook's port, with whatever certificate is in service.
pub fn port(address: SocketAddr, served: Served) -> Port {
    Port {
        name: "the webhook's port",
        address,
        tls: Some(certificate::tls(served)),
        most_connections: MOST_CONNECTIONS,
        linger: LINGER,
    }
}

/// Answers the API server's reviews at [`INJECT_PATH`].
pub fn router(admission: Admission) -> Router {
    Router::new()
        .route(INJECT_PATH, post(answer))
        .layer(DefaultBodyLimit::max(LARGEST_REVIEW))
        .with_state(Arc::new(admission))
}

async fn answer(State(admission): State<Arc<Admission>>, body: Bytes) -> Response {
    let began = Instant::now();
    let answer = review::answer(&body, |pod, namespace| admission.inject(pod, namespace));
    admission.metrics.count(answer.outcome, began.elapsed());
    match answer.body {
        Some(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        // Not even a review: it has no UID to answer to. `failurePolicy: Ignore` lets through
        // whatever it was.
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

// === impl Admission ===

impl Admission {
    /// Gathers what is known about the pod, and decides what becomes of it. It has no side effect,
    /// so a dry run is answered like any other.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no random numbers.
    fn inject(&self, pod: &ReviewedPod, namespace: &str) -> Result<Decision, String> {
        let token = token()?;
        let none = BTreeMap::new();
        let labels = pod.labels().unwrap_or(&none);
        let key = self.keyring.borrow().current().clone();
        let context = self.cluster.read(|cluster| {
            let known = cluster.namespace(namespace);
            let policy = known.and_then(|known| in_force(known.policies_for(labels)));
            Context {
                namespace: known.map_or(ebb_api::names::Inject::Unset, |known| known.labels.inject),
                net_admin: !known.is_some_and(|known| known.labels.forbids_net_admin),
                policy: policy.map(|policy| InForce {
                    settings: policy.settings.clone(),
                    capture: policy.capture.clone(),
                }),
                key,
                token,
                limit_ranges: known
                    .into_iter()
                    .flat_map(|known| known.limit_ranges().cloned())
                    .collect(),
                sidecar: &self.sidecar,
            }
        });
        Ok(inject::inject(pod, &context))
    }
}

/// 128 random bits, in hexadecimal.
fn token() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the system's random number generator failed".to_owned())?;
    Ok(hexadecimal(&bytes))
}

#[cfg(test)]
mod tests;
