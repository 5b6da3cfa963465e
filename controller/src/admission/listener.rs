//! The webhook's port: TLS with whatever certificate is in service, HTTP/1 and HTTP/2 inside.

use crate::certificate::{Served, resolver};
use crate::log_limit::LogLimit;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// API servers keep a connection or a few each; more than this is somebody else.
const MOST_CONNECTIONS: usize = 1024;
/// How long a client may take for its handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an API server that keeps its connection open is asked whether it is still there: one
/// whose machine is gone says nothing, and would keep its place for ever.
const ARE_YOU_THERE: Duration = Duration::from_secs(30);
/// How long calls are answered after the end was asked for: until no API server sends any here. They
/// learn of it about a second after us, and whoever is refused makes a pod without a sidecar.
const LINGER: Duration = Duration::from_secs(3);
/// How long calls that are open then may take; an answer takes milliseconds.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// After a failed accept, most likely for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The webhook's port, open but not served.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    address: SocketAddr,
}

/// Opens the port.
///
/// # Errors
///
/// Fails if the address is in use or not this machine's.
pub async fn bind(address: SocketAddr, served: Served) -> io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(resolver(served));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Bound {
        address: listener.local_addr()?,
        config: Arc::new(config),
        listener,
    })
}

/// What every connection is served with.
struct Service {
    acceptor: TlsAcceptor,
    router: Router,
    /// Cancelled when no further call is to come.
    end: CancellationToken,
    complaints: LogLimit,
}

// === impl Bound ===

impl Bound {
    /// The address that was opened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until a few seconds after `stop` is cancelled, then gives open calls the time to be
    /// answered.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        let end = CancellationToken::new();
        let service = Arc::new(Service {
            acceptor: TlsAcceptor::from(self.config.clone()),
            router,
            end: end.clone(),
            complaints: LogLimit::default(),
        });
        let mut lingered = pin!(async {
            stop.cancelled().await;
            tokio::time::sleep(LINGER).await;
        });
        loop {
            tokio::select! {
                () = lingered.as_mut() => break,
                accepted = self.listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    match accepted {
                        Ok((connection, client)) => {
                            connections.spawn(Arc::clone(&service).serve(connection, client));
                        }
                        Err(error) => {
                            warn!(%error, "cannot accept a connection of the API server");
                            tokio::time::sleep(ACCEPT_AGAIN).await;
                        }
                    }
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        drop(self.listener);
        end.cancel();
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ANSWERS, ended).await.is_err() {
            warn!("calls of the webhook were still open at the end");
        }
    }
}

// === impl Service ===

impl Service {
    /// Serves one connection. That it ends early is its client's business; that it speaks something
    /// else is told.
    async fn serve(self: Arc<Self>, connection: TcpStream, client: SocketAddr) {
        let accepted = self.acceptor.accept(connection);
        let stream = match tokio::time::timeout(PATIENCE, accepted).await {
            Ok(Ok(stream)) => stream,
            // What rustls does not understand, and what the client says against our certificate.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.complain(client, error, "the webhook's port: no TLS, hung up");
                return;
            }
            Ok(Err(error)) => {
                debug!(client.addr = %client, %error, "a client of the webhook left");
                return;
            }
            Err(error) => {
                self.complain(client, error, "the webhook's port: no handshake, hung up");
                return;
            }
        };
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(ARE_YOU_THERE)
            .keep_alive_timeout(PATIENCE);
        let router = TowerToHyperService::new(self.router.clone());
        let served = builder.serve_connection(TokioIo::new(stream), router);
        let mut served = pin!(served);
        let result = tokio::select! {
            result = served.as_mut() => result,
            () = self.end.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        let Err(error) = result else { return };
        let parsing = error.downcast_ref().is_some_and(hyper::Error::is_parse);
        if parsing {
            self.complain(client, error, "the webhook's port: no HTTP, hung up");
        } else {
            debug!(client.addr = %client, error, "a connection to the webhook ended early");
        }
    }

    /// Writes it down, unless somebody else has just given cause for the same.
    fn complain(&self, client: SocketAddr, error: impl Display, what: &str) {
        match self.complaints.allow(Instant::now()) {
            Some(left_out) => warn!(client.addr = %client, %error, left_out, "{what}"),
            None => debug!(client.addr = %client, %error, "{what}"),
        }
    }
}
