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
    approach: Known,
    shortage: Shortage,
    memory: Arc<Memory>,
    /// Ports of the pod at which clients' sockets are, or were: those of the relay, or the app's
    /// own where the kernel hands connections over as they are.
    arrivals: Mutex<BTreeSet<u16>>,
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
    Own {
        over_loopback: Mutex<Vec<IpAddr>>,
    },
    AsClient {
        /// Ports that refuse the alias and take the pod's own address: the app listens on that
        /// alone.
        own_address: Mutex<BTreeSet<u16>>,
    },
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
            arrivals: Mutex::default(),
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

    /// The ports of the pod at which the sockets of the relay's clients are, or were.
    pub(crate) fn arrivals(&self) -> BTreeSet<u16> {
        lock(&self.arrivals).clone()
    }

    /// Whether clients' connections end at the app's own ports, as far as the kernel tells.
    pub(crate) fn shares_ports(&self) -> bool {
        matches!(self.approach, Known::AsClient { .. })
    }

    /// The ports at which the app sees the pod's own address although the relay dials as the
    /// client: it listens on that address alone.
    pub(crate) fn own_address_ports(&self) -> BTreeSet<u16> {
        match &self.approach {
            Known::AsClient { own_address } => lock(own_address).clone(),
            Known::Own { .. } => BTreeSet::new(),
        }
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
        lock(&self.arrivals).insert(origin.arrived);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can panic halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            Approach::AsClient => Known::AsClient {
                own_address: Mutex::default(),
            },
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
