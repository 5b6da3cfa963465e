//! The relay: it passes the bytes of every connection between client and app, unchanged but for the
//! goodbyes, and tells the census what is in flight.
//!
//! ```text
//!  listener --accept--> connection --+-- exchange (what the bytes mean; no IO)
//!                                    +-- upstream (the app's own address)
//!                                    +-- closing  (so that the last answer arrives)
//! ```

mod closing;
mod connection;
pub mod delivery;
mod exchange;
mod leftover;

use crate::census::Census;
use crate::seldom::Seldom;
use crate::stance::Conduct;
use crate::upstream::Upstream;
use connection::Connection;
use exchange::Exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub use exchange::scenario;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long the sender of a TCP connection keeps quiet before its kernel asks whether the other end
/// is still there, how long it waits for each answer, and how many it misses. Forgotten connections
/// go after 40 s, and conntrack's 60 s of close_wait can't swallow the answer to a client that has
/// half-closed.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(25), Duration::from_secs(5), 3);

/// What every connection shares.
#[derive(Clone, Debug)]
pub struct Relay {
    census: Arc<Census>,
    conduct: watch::Receiver<Conduct>,
    upstream: Arc<Upstream>,
    direct: Arc<Seldom>,
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
            direct: Arc::default(),
        }
    }

    pub(crate) fn census(&self) -> &Arc<Census> {
        &self.census
    }

    pub(crate) fn conduct(&self) -> watch::Receiver<Conduct> {
        self.conduct.clone()
    }

    /// Takes an accepted connection in; it does nothing until it runs. Nothing where the client has
    /// gone already, or has connected to the relay itself and was reset.
    pub(crate) fn take(&self, client: TcpStream) -> Option<Connection> {
        let mut line = self.census.connect();
        if let Err(error) = prepare(&client) {
            tracing::debug!(%error, "client went before it was served");
            return None;
        }
        match self.upstream.destination(&client) {
            Ok(destination) => {
                if let Ok(peer) = client.peer_addr() {
                    line.made_by(peer.ip().to_canonical(), destination.port());
                }
                let exchange = Exchange::new(line);
                Some(Connection::new(client, destination, exchange))
            }
            Err(error) => {
                if self.direct.may_say(Instant::now()) {
                    tracing::warn!(%error, "connection reset");
                }
                closing::reset(&client);
                None
            }
        }
    }
}

/// Sets what both legs of a connection want of their sockets.
pub(crate) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(time)
        .with_interval(interval)
        .with_retries(retries);
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
