//! The app's side: where a connection was meant to go, and going there.

mod dial;
mod loopback;
mod origin;
mod proxy_protocol;
mod shortage;

pub(crate) use loopback::proves_itself;
pub use origin::{NoDestination, OriginalDestination};
pub use shortage::Shortage;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpStream;

/// The way from the relay to the app, which all connections of a relay share.
#[derive(Debug)]
pub struct Upstream {
    origin: OriginalDestination,
    /// Ports of the app that learn who the client is.
    proxy_protocol_ports: BTreeSet<u16>,
    over_loopback: Mutex<Vec<IpAddr>>,
    shortage: Shortage,
}

/// Where one connection was meant to go.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    address: SocketAddr,
    /// What the app's port receives before the first byte.
    header: Option<Box<[u8]>>,
    upstream: Arc<Upstream>,
}

// === impl Upstream ===

impl Upstream {
    /// The way to `origin`. The addresses `over_loopback` are routed by the loopback device,
    /// and dialed bound to it: only then may the kernel use a source port again that is in
    /// TIME_WAIT (tcp_tw_reuse 2, the default). Without that one port of the app takes some 470 new
    /// connections a second that their clients close first.
    pub fn new(origin: OriginalDestination, over_loopback: Vec<IpAddr>) -> Arc<Upstream> {
        Upstream::with_proxy_protocol(origin, over_loopback, [])
    }

    /// The same, and these ports of the app learn who each client is: by a header of the PROXY
    /// protocol, version 2, before the first byte.
    pub fn with_proxy_protocol(
        origin: OriginalDestination,
        over_loopback: Vec<IpAddr>,
        ports: impl IntoIterator<Item = u16>,
    ) -> Arc<Upstream> {
        Arc::new(Upstream {
            origin,
            proxy_protocol_ports: ports.into_iter().collect(),
            over_loopback: Mutex::new(over_loopback),
            shortage: Shortage::default(),
        })
    }

    /// How often there was no free port to dial from.
    pub fn shortage(&self) -> &Shortage {
        &self.shortage
    }

    /// Where this connection was meant to go, which `peer` made and the relay has accepted.
    ///
    /// # Errors
    ///
    /// See [`NoDestination`].
    pub(crate) fn destination(
        self: &Arc<Self>,
        client: &TcpStream,
        peer: SocketAddr,
    ) -> Result<Destination, NoDestination> {
        let origin = self.origin.of(client, peer)?;
        let header = if self.proxy_protocol_ports.contains(&origin.app.port()) {
            Some(proxy_protocol::header(peer, origin.meant))
        } else {
            None
        };
        Ok(Destination {
            address: origin.app,
            header,
            upstream: self.clone(),
        })
    }

    fn is_over_loopback(&self, address: IpAddr) -> bool {
        self.over_loopback().contains(&address)
    }

    fn leave_loopback(&self, address: IpAddr) {
        self.over_loopback().retain(|other| *other != address);
    }

    fn over_loopback(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        // Nothing that holds the lock can panic halfway.
        self.over_loopback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Destination ===

impl Destination {
    /// The app's port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}
