//! The admin port: everything that kubelet, the controller and Prometheus ask of a sidecar.
//!
//! [`route`] has the table of requests, with what each is for and who may call it.
//!
//! It is reachable for everybody who reaches the pod, so nothing that comes in is trusted: heads,
//! bodies, connections and the time they take are bounded.

mod desired;
mod eviction;
mod hook;
mod metrics;
mod probe;
mod response;
mod route;
mod status;

pub(crate) use metrics::Metrics;

use crate::config::Key;
use crate::hooks::Prober;
use crate::lifecycle::{Message, Published};
use crate::log_limit::LogLimit;
use bytes::Bytes;
use eviction::{Slot, Slots};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::header::USER_AGENT;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use response::sentence;
use route::Endpoint;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Connections at a time; see [`Slots`] for what comes then. A pod has a handful of containers with
/// one hook each, two probes, a few scrapers and one controller.
const CONNECTIONS: usize = 512;

/// How long a head may take, which is also how long an unused connection stays: kubelet keeps its
/// connections alive for the next hook, and repeats a call that met a closed one.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long to wait after an `accept` that failed for want of something (file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What kubelet's probes call themselves (pkg/probe/http/request.go of Kubernetes 1.35).
const KUBELET_PROBES: &[u8] = b"kube-probe/";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What the admin port serves from.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) lifecycle: mpsc::Sender<Message>,
    pub(crate) published: watch::Receiver<Published>,
    /// If there is none, no hook call is accepted.
    pub(crate) token: Option<String>,
    /// If there is none, no desired state is accepted.
    pub(crate) key: Option<Key>,
    /// The app's containers, by name.
    pub(crate) containers: BTreeSet<String>,
    pub(crate) metrics: Metrics,
    streams: Arc<Semaphore>,
    prober: Mutex<Prober>,
    /// For the log line about what is no HTTP.
    garbage: LogLimit,
}

/// Who is at the other end of a connection.
#[derive(Debug)]
struct Client {
    peer: SocketAddr,
    /// The address that it connected to.
    local: SocketAddr,
    slot: Arc<Slot>,
}

// === impl Admin ===

impl Admin {
    pub(crate) fn new(
        lifecycle: mpsc::Sender<Message>,
        published: watch::Receiver<Published>,
        bootstrap: Option<&ebb_api::bootstrap::Bootstrap>,
        key: Option<Key>,
        metrics: Metrics,
    ) -> Arc<Admin> {
        Arc::new(Admin {
            token: bootstrap.map(|bootstrap| bootstrap.token.clone()),
            key,
            containers: bootstrap
                .into_iter()
                .flat_map(|bootstrap| &bootstrap.containers)
                .map(|container| container.name.clone())
                .collect(),
            metrics,
            lifecycle,
            published,
            streams: Arc::new(Semaphore::new(status::STREAMS)),
            prober: Mutex::default(),
            garbage: LogLimit::default(),
        })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let slots = Arc::new(Slots::default());
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, peer)) => {
                    while connections.len() >= CONNECTIONS {
                        slots.evict_one();
                        connections.join_next().await;
                    }
                    let slot = slots.take();
                    connections.spawn(self.clone().connection(stream, peer, slot));
                }
                Err(error) => {
                    tracing::warn!(%error, "admin port: connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, slot: Arc<Slot>) {
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let client = Client { peer, local, slot };
        let service = service_fn(|request| {
            let admin = self.clone();
            let client = &client;
            client.slot.asked();
            async move { Ok::<_, Infallible>(admin.answer(request, client).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_header_size(16 * 1024)
            // The default of 400 KB for each would let strangers fill the container's memory.
            .max_buf_size(32 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let served = tokio::select! {
            served = connection => served,
            () = client.slot.evicted() => {
                tracing::debug!(client.addr = %peer, "admin port: too many connections, this one asked nothing for longest");
                return;
            }
        };
        match served {
            Err(error) if error.is_parse() => {
                if let Some(skipped) = self.garbage.allow(Instant::now()) {
                    tracing::warn!(client.addr = %peer, %error, skipped, "admin port: not HTTP, hung up");
                }
            }
            Err(error) => {
                tracing::debug!(client.addr = %peer, %error, "admin port: connection ended");
            }
            Ok(()) => {}
        }
    }

    /// Kubelet's probes tell where it calls from.
    fn probed(&self, request: &Request<Incoming>, client: &Client) {
        let agent = request.headers().get(USER_AGENT);
        if agent.is_some_and(|agent| agent.as_bytes().starts_with(KUBELET_PROBES)) {
            let from = client.peer.ip().to_canonical();
            self.prober().probed(from, Instant::now());
        }
    }

    fn prober(&self) -> MutexGuard<'_, Prober> {
        // Nothing that holds the lock can panic halfway.
        self.prober.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the census brought up to date; a lifecycle that has ended has nothing to add.
    async fn look(&self) {
        let (answer, looked) = oneshot::channel();
        if self
            .lifecycle
            .send(Message::Census { answer })
            .await
            .is_ok()
        {
            let _ = looked.await;
        }
    }

    async fn answer(&self, request: Request<Incoming>, client: &Client) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match route::find(request.method(), &path) {
            Ok((Endpoint::Live, _)) => probe::live(),
            Ok((Endpoint::Ready, _)) => {
                self.probed(&request, client);
                probe::ready(&self.published)
            }
            Ok((Endpoint::Metrics, _)) => {
                self.look().await;
                self.metrics.scrape()
            }
            Ok((Endpoint::Status, _)) => status::serve(self, request.uri().query(), client).await,
            Ok((Endpoint::Desired, _)) => desired::serve(self, request, client.peer).await,
            Ok((Endpoint::Hook, name)) => hook::serve(self, name, request.headers(), client).await,
            Err(status @ StatusCode::METHOD_NOT_ALLOWED) => {
                sentence(status, "this method is not for this path")
            }
            Err(status) => sentence(status, "no such path"),
        }
    }
}
