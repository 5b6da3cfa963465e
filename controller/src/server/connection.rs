//! One connection of a port: TLS where the port has it, then HTTP.

use super::eviction::Activity;
use crate::log_limit::LogLimit;
use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long a client may take for its handshake, and for the head of a request. A connection of
/// HTTP/1 may idle for as long before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an API server that keeps its connection open is asked whether it is still there: one
/// whose machine is gone sends no FIN, and would keep its place for ever.
const ARE_YOU_THERE: Duration = Duration::from_secs(30);
/// How much of a request of HTTP/1 is buffered: a head has some hundred bytes.
const MOST_BUFFERED: usize = 16 * 1024;

/// What every connection of a port is served with.
pub(super) struct Service {
    /// The port's name in log lines.
    pub port: &'static str,
    pub tls: Option<TlsAcceptor>,
    pub router: Router,
    /// Cancelled when no further call is to come.
    pub end: CancellationToken,
    pub complaints: LogLimit,
}

// === impl Service ===

impl Service {
    /// Serves one connection. A client that leaves early is logged at debug level, one that speaks
    /// another protocol as a warning.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        activity: Activity,
    ) {
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, client, &activity).await;
        };
        match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve_http(stream, client, &activity).await,
            // What rustls does not understand, and what the client says against our certificate.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.complain(client, error, "no TLS");
            }
            Ok(Err(error)) => {
                debug!(client.addr = %client, %error, "{}: no handshake", self.port);
            }
            Err(error) => self.complain(client, error, "no handshake"),
        }
    }

    async fn serve_http<S>(&self, stream: S, client: SocketAddr, activity: &Activity)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(MOST_BUFFERED);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(ARE_YOU_THERE)
            .keep_alive_timeout(PATIENCE);
        if self.tls.is_none() {
            builder = builder.http1_only();
        }
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(|request| {
            activity.note();
            router.call(request)
        });
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let result = tokio::select! {
            result = served.as_mut() => result,
            () = self.end.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        let Err(error) = result else { return };
        if error.downcast_ref().is_some_and(hyper::Error::is_parse) {
            self.complain(client, error, "not HTTP");
        } else {
            debug!(client.addr = %client, error, "{}: connection ended early", self.port);
        }
    }

    /// Logs what was wrong; at debug level if a warning was just written.
    fn complain(&self, client: SocketAddr, error: impl Display, what: &str) {
        let port = self.port;
        match self.complaints.allow(Instant::now()) {
            Some(skipped) => {
                warn!(client.addr = %client, %error, skipped, "{port}: {what}, hung up");
            }
            None => debug!(client.addr = %client, %error, "{port}: {what}, hung up"),
        }
    }
}
