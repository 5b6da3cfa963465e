//! The relay: it passes the bytes of every connection between client and app, unchanged but for the
//! goodbyes, and keeps the census of what is in flight.
//!
//! ```text
//!  listener --accept--> connection --+-- exchange (what the bytes mean; no IO)
//!                                    +-- upstream (the app's own address)
//!                                    +-- closing  (so that the last answer arrives)
//! ```

mod buffer;
mod closing;
mod connection;
pub mod delivery;
mod exchange;
pub(crate) mod keepalive;
mod notify;
#[cfg(any(test, feature = "fuzzing"))]
pub mod scenario;
mod write_buffer;

use crate::census::{self, Census, Peer, Way};
use crate::log_limit::LogLimit;
use crate::memory::Memory;
use crate::stance::Conduct;
use crate::upstream::{Destination, Upstream};
use connection::Connection;
use exchange::Exchange;
use notify::{Notifier, Subscription};
use rustix::net::sockopt::socket_cookie;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What every connection shares.
#[derive(Clone, Debug)]
pub struct Relay {
    census: Arc<Census>,
    conduct: watch::Receiver<Conduct>,
    upstream: Arc<Upstream>,
    notifier: Arc<Notifier>,
    workers: NonZeroUsize,
    direct: Arc<LogLimit>,
}

impl Relay {
    /// A relay that counts in `census` and does what `conduct` says. When its sender is gone, the
    /// last one stays.
    pub fn new(
        census: Arc<Census>,
        conduct: watch::Receiver<Conduct>,
        upstream: Arc<Upstream>,
    ) -> Relay {
        Relay {
            census,
            conduct,
            upstream,
            notifier: Arc::default(),
            workers: NonZeroUsize::MIN,
            direct: Arc::default(),
        }
    }

    /// Runs the connections of a port on this number of threads. With one, that is its listener's.
    #[must_use]
    pub fn with_workers(self, workers: NonZeroUsize) -> Relay {
        Relay { workers, ..self }
    }

    pub(crate) fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    pub(crate) fn census(&self) -> &Arc<Census> {
        &self.census
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        self.upstream.memory()
    }

    pub(crate) fn conduct(&self) -> watch::Receiver<Conduct> {
        self.conduct.clone()
    }

    /// A subscription to what [`Relay::notify`] reports, for a connection that is to run.
    pub(crate) fn subscribe(&self) -> Subscription {
        self.notifier.subscribe(self.conduct())
    }

    /// Notifies the connections whenever something else is wanted of them; never ends.
    pub(crate) fn notify(&self) -> impl Future<Output = ()> + Send + use<> {
        self.notifier.clone().run(self.conduct())
    }

    /// Takes an accepted connection in, which `peer` has made: from here on it counts. `None` if it
    /// was made to the relay itself; it is reset when the socket is dropped.
    pub(crate) fn take(&self, client: &TcpStream, peer: SocketAddr) -> Option<Taken> {
        let canonical = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        match self.upstream.destination(client, peer) {
            Ok(destination) => {
                // Without its number the client would be counted twice, as one past the relay.
                let socket = match self.upstream.shares_ports() {
                    true => socket_cookie(client).unwrap_or(0),
                    false => 0,
                };
                let peer = Peer {
                    client: canonical,
                    port: destination.port(),
                    socket,
                    since: Instant::now(),
                };
                Some(Taken {
                    client: canonical,
                    destination,
                    line: self.census.connect(Way::Relayed, peer),
                })
            }
            Err(error) => {
                if let Some(skipped) = self.direct.allow(Instant::now()) {
                    tracing::warn!(client.addr = %canonical, %error, skipped, "connection reset");
                }
                closing::reset(client);
                None
            }
        }
    }
}

/// A connection that was taken in, without its socket: that belongs to the thread that will run it.
#[derive(Debug)]
pub(crate) struct Taken {
    client: SocketAddr,
    destination: Destination,
    line: census::Connection,
}

impl Taken {
    /// Where its client is; IPv4 is not mapped into IPv6.
    pub(crate) fn client_addr(&self) -> SocketAddr {
        self.client
    }

    /// The port of the app that it goes to.
    pub(crate) fn app_port(&self) -> u16 {
        self.destination.port()
    }

    /// Joins it with its socket; it does nothing until it runs.
    pub(crate) fn begin(self, client: TcpStream) -> Connection {
        Connection::between(client, self.destination, Exchange::new(self.line))
    }
}

#[cfg(test)]
mod tests;
