//! The controller's two ports, the webhook's and its own, are served by the same loop.
//!
//! ```text
//!  accept --> limit (eviction) --> TLS, where the port has it --> HTTP --> router
//! ```
//!
//! Whoever comes is let in. When there are too many connections, the one that has asked nothing for
//! the longest time is closed, as on the sidecar's admin port. Closing the oldest would hit the API
//! servers, which stay on theirs for hours, and closing none would let strangers who hold theirs
//! open keep out everybody else. A connection on which a call was just made is the last to go.
//!
//! Once `stop` is cancelled a port goes on for its `linger`, closes, and lets open calls finish.
//! How long that may take is for the caller to say, who drops the future.

mod connection;
mod eviction;

use crate::log_limit::LogLimit;
use axum::Router;
use connection::Service;
use eviction::Connections;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// After a failed accept, most likely for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A port that is to be served.
#[derive(Debug)]
pub struct Port {
    /// What log lines call it.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// With it, the port speaks TLS, and HTTP/1 or HTTP/2 inside; without it HTTP/1 alone.
    pub tls: Option<Arc<ServerConfig>>,
    /// When there are more connections, one has to go.
    pub most_connections: usize,
    /// How long it goes on after the end was asked for.
    pub linger: Duration,
}

/// A port that is open, but not served.
#[derive(Debug)]
pub struct Bound {
    port: Port,
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens a port.
///
/// # Errors
///
/// Fails if the address is in use or not this machine's.
pub async fn bind(port: Port) -> io::Result<Bound> {
    let listener = TcpListener::bind(port.address).await?;
    Ok(Bound {
        address: listener.local_addr()?,
        port,
        listener,
    })
}

// === impl Bound ===

impl Bound {
    /// The address that was opened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` was cancelled and every call that had begun is answered.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let Bound { port, listener, .. } = self;
        let end = CancellationToken::new();
        let service = Arc::new(Service {
            port: port.name,
            tls: port.tls.map(TlsAcceptor::from),
            router,
            end: end.clone(),
            complaints: LogLimit::default(),
        });
        let mut connections = Connections::new(port.most_connections);
        let mut lingered = pin!(async {
            stop.cancelled().await;
            tokio::time::sleep(port.linger).await;
        });
        loop {
            tokio::select! {
                () = lingered.as_mut() => break,
                () = connections.one_ended() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => connections.admit(|activity| {
                        Arc::clone(&service).serve(stream, client, activity)
                    }),
                    Err(error) => {
                        warn!(%error, "{}: connection not accepted", port.name);
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
        drop(listener);
        end.cancel();
        connections.all_ended().await;
    }
}

#[cfg(test)]
mod tests;
