//! The app's side: where a connection was meant to go, and going there.

mod as_client;
mod dial;
mod loopback;
mod origin;
mod proxy_protocol;
mod shortage;

pub(crate) use as_client::{ALIASES, is_alias, proves_itself as as_client_proves_itself};
pub(crate) use loopback::proves_itself;
pub use origin::{NoDestination, OriginalDestination};
pub use shortage::Shortage;

use crate::memory::Memory;
use as_client::AsClient;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;

/// The way from the relay to the app, which all connections of a relay share.
#[derive(Debug)]
pub struct Upstream {
    origin: OriginalDestination,
    /// Ports of the app that learn who the client is.
    proxy_protocol_ports: BTreeSet<u16>,
    approach: Known,
    shortage: Shortage,
    memory: Arc<Memory>,
}

/// From where the app is dialed, and to where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approach {
    /// From the pod's own address to the address that the client meant.
    ///
    /// These addresses of the pod are routed by the loopback device, and dialed bound to it: only
    /// then may the kernel use a source port again that is in TIME_WAIT (tcp_tw_reuse 2, the
    /// default). Without that one port of the app takes some 470 new connections a second that
    /// their clients close first.
    Own {
        /// Those addresses.
        over_loopback: Vec<IpAddr>,
    },
    /// From the client's own address and port, to an alias of the pod's.
    AsClient,
}

/// The approach, with what was found out about it.
#[derive(Debug)]
enum Known {
    Own { over_loopback: Mutex<Vec<IpAddr>> },
    AsClient(AsClient),
}

/// Where one connection was meant to go.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    address: SocketAddr,
    client: SocketAddr,
    /// What the app's port receives before the first byte.
    header: Option<Box<[u8]>>,
    upstream: Arc<Upstream>,
}

// === impl Upstream ===

impl Upstream {
    /// The way to `origin`.
    pub fn new(origin: OriginalDestination, approach: Approach) -> Arc<Upstream> {
        Upstream::with_proxy_protocol(origin, approach, [])
    }

    /// The same, and these ports of the app learn who each client is: by a header of the PROXY
    /// protocol, version 2, before the first byte.
    pub fn with_proxy_protocol(
        origin: OriginalDestination,
        approach: Approach,
        ports: impl IntoIterator<Item = u16>,
    ) -> Arc<Upstream> {
        Arc::new(Upstream::of(origin, approach, ports))
    }

    /// The same, not shared yet.
    pub(crate) fn of(
        origin: OriginalDestination,
        approach: Approach,
        ports: impl IntoIterator<Item = u16>,
    ) -> Upstream {
        Upstream {
            origin,
            proxy_protocol_ports: ports.into_iter().collect(),
            approach: approach.into(),
            shortage: Shortage::default(),
            memory: Arc::default(),
        }
    }

    /// Connections share this memory.
    #[must_use]
    pub(crate) fn with_memory(self, memory: Arc<Memory>) -> Upstream {
        Upstream { memory, ..self }
    }

    /// The memory that connections share.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// How often there was no free port to dial from.
    pub fn shortage(&self) -> &Shortage {
        &self.shortage
    }

    /// Whether clients' connections end at the app's own ports, as far as the kernel tells.
    pub(crate) fn shares_ports(&self) -> bool {
        matches!(self.approach, Known::AsClient(_))
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
            client: origin::canonical(peer),
            header,
            upstream: self.clone(),
        })
    }
}

// === impl Approach ===

impl Default for Approach {
    fn default() -> Approach {
        Approach::Own {
            over_loopback: Vec::new(),
        }
    }
}

// === impl Known ===

impl From<Approach> for Known {
    fn from(approach: Approach) -> Known {
        match approach {
            Approach::Own { over_loopback } => Known::Own {
                over_loopback: Mutex::new(over_loopback),
            },
            Approach::AsClient => Known::AsClient(AsClient::default()),
        }
    }
}

// === impl Destination ===

impl Destination {
    /// The app's port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The most that may be read at once on this connection, in bytes.
    pub(crate) fn piece(&self) -> usize {
        self.upstream.memory.piece()
    }
}
