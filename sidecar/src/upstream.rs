//! The app's side: where a connection was meant to go, and going there.

mod loopback;
mod proxy_protocol;
mod shortage;

pub(crate) use loopback::proves_itself;
pub use shortage::Shortage;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// The first pause before a connection that found no free port is tried again; each is twice as
/// long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// For how long it is tried again: the kernel gives a port away after one second in TIME_WAIT.
const NO_LONGER_THAN: Duration = Duration::from_millis(1500);

/// Where the connections of a relay were meant to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginalDestination {
    /// The kernel remembers it for each redirected connection (SO_ORIGINAL_DST).
    Redirected,
    /// To the address that the client connected to, at the app's port: the relay's port, which is
    /// the key, took over its name.
    NamedPorts(BTreeMap<u16, u16>),
    /// All go to one address: connections are not redirected, and the relay stands in front of one
    /// port.
    Fixed(SocketAddr),
}

/// Why a connection has no destination.
#[derive(Debug, Error)]
pub enum NoDestination {
    /// It was made to the relay's own port.
    #[error("{peer} connected to the relay's own port {port}, not to a port of the app")]
    Direct {
        /// Who did.
        peer: SocketAddr,
        /// That port.
        port: u16,
    },
    /// The socket could not be asked; its client has gone.
    #[error("the connection has no addresses any more")]
    Gone(#[source] io::Error),
}

/// The way from the relay to the app, which all connections of a relay share.
#[derive(Debug)]
pub struct Upstream {
    destination: OriginalDestination,
    /// Ports of the app that are told who the client is.
    proxy_protocol_ports: BTreeSet<u16>,
    over_loopback: Mutex<Vec<IpAddr>>,
    shortage: Shortage,
}

/// Where one connection was meant to go.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    address: SocketAddr,
    /// What the app's port is told first.
    header: Option<Box<[u8]>>,
    upstream: Arc<Upstream>,
}

// === impl Upstream ===

impl Upstream {
    /// The way to `destination`. The addresses `over_loopback` are routed by the loopback device,
    /// and dialed bound to it: only then may the kernel use a source port again that is in
    /// TIME_WAIT (tcp_tw_reuse 2, the default). Without that one port of the app takes some 470 new
    /// connections a second that their clients close first.
    pub fn new(destination: OriginalDestination, over_loopback: Vec<IpAddr>) -> Arc<Upstream> {
        Upstream::with_proxy_protocol(destination, over_loopback, [])
    }

    /// The same, with these ports of the app told who each client is: by a header of the PROXY
    /// protocol, version 2, before the first byte.
    pub fn with_proxy_protocol(
        destination: OriginalDestination,
        over_loopback: Vec<IpAddr>,
        ports: impl IntoIterator<Item = u16>,
    ) -> Arc<Upstream> {
        Arc::new(Upstream {
            destination,
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
    /// A connection that was made straight to the relay has no other destination than the relay:
    /// dialing it would be a loop.
    pub(crate) fn destination(
        self: &Arc<Self>,
        client: &TcpStream,
        peer: SocketAddr,
    ) -> Result<Destination, NoDestination> {
        // Where the client meant to go, and where the app is.
        let local = client.local_addr().map_err(NoDestination::Gone)?;
        let (meant, address) = match &self.destination {
            OriginalDestination::Fixed(address) => (local, *address),
            OriginalDestination::Redirected => {
                let address = original(client, peer, local)?;
                (address, address)
            }
            OriginalDestination::NamedPorts(ports) => {
                let port = local.port();
                let direct = NoDestination::Direct { peer, port };
                (local, named(local, ports).ok_or(direct)?)
            }
        };
        let header = if self.proxy_protocol_ports.contains(&address.port()) {
            Some(proxy_protocol::header(peer, meant))
        } else {
            None
        };
        Ok(Destination {
            address,
            header,
            upstream: self.clone(),
        })
    }

    fn is_over_loopback(&self, address: IpAddr) -> bool {
        self.lock().contains(&address)
    }

    fn leave_loopback(&self, address: IpAddr) {
        self.lock().retain(|other| *other != address);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<IpAddr>> {
        // Nothing that holds the lock can panic halfway.
        self.over_loopback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn original(
    client: &TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
) -> Result<SocketAddr, NoDestination> {
    let port = local.port();
    let socket = socket2::SockRef::from(client);
    // A client of IPv4 on a socket of both families is asked about with IPv4's option.
    let original = match peer.ip().to_canonical() {
        IpAddr::V4(_) => socket.original_dst_v4(),
        IpAddr::V6(_) => socket.original_dst_v6(),
    };
    original
        .ok()
        .and_then(|address| address.as_socket())
        .filter(|address| address.port() != port)
        .ok_or(NoDestination::Direct { peer, port })
}

/// The app's address for a connection to this port of the relay: the pod's own, never 127.0.0.1.
/// A socket of both families shows IPv4 mapped into IPv6; the app may listen on IPv4 alone.
fn named(meant: SocketAddr, ports: &BTreeMap<u16, u16>) -> Option<SocketAddr> {
    let port = *ports.get(&meant.port())?;
    Some(SocketAddr::new(meant.ip().to_canonical(), port))
}

// === impl Destination ===

impl Destination {
    /// The app's port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connects to the app at its original address: never to 127.0.0.1, where apps listen that
    /// nobody outside may reach. Where no local port is free it is tried again for
    /// [`NO_LONGER_THAN`].
    ///
    /// # Errors
    ///
    /// What the kernel says of the last try.
    pub(crate) async fn dial(self) -> io::Result<TcpStream> {
        let shortage = &self.upstream.shortage;
        let mut waited: Option<(Instant, Duration)> = None;
        let mut stream = loop {
            let error = match self.dial_once().await {
                Ok(stream) => break stream,
                Err(error) => error,
            };
            if error.kind() != io::ErrorKind::AddrNotAvailable {
                return Err(error);
            }
            let now = Instant::now();
            let (since, pause) = waited.unwrap_or_else(|| {
                shortage.waits(self.address, now);
                (now, FIRST_PAUSE)
            });
            let left = NO_LONGER_THAN.saturating_sub(now.saturating_duration_since(since));
            if left.is_zero() {
                shortage.gave_up();
                return Err(error);
            }
            tokio::time::sleep(pause.min(left)).await;
            waited = Some((since, pause * 2));
        };
        // No keep-alive toward the app: it is on this machine, where the kernel tells of every end.
        // Connection tracking may forget the connection, and takes it up again: there is nothing
        // to translate.
        stream.set_nodelay(true)?;
        if let Some(header) = &self.header {
            stream.write_all(header).await?;
        }
        Ok(stream)
    }

    async fn dial_once(&self) -> io::Result<TcpStream> {
        let address = self.address.ip();
        if self.upstream.is_over_loopback(address) {
            match loopback::connect(self.address).await {
                Err(error) if loopback::may_be_to_blame(&error) => {
                    // An app that is busy looks the same as a route that somebody changed.
                    if let Err(error) = proves_itself(address).await {
                        tracing::warn!(%address, %error, "no way to the app over lo any more, so new connections share fewer ports");
                        self.upstream.leave_loopback(address);
                    }
                }
                dialed => return dialed,
            }
        }
        socket(self.address)?.connect(self.address).await
    }
}

fn socket(destination: SocketAddr) -> io::Result<TcpSocket> {
    match destination {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}
