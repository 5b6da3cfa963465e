//! Where a connection was meant to go.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use tokio::net::TcpStream;

/// Where the connections of a relay were meant to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginalDestination {
    /// The kernel knows. A connection that it has handed over as it was has it as the address of
    /// the relay's own end; for one that it has redirected to the relay's port it remembers what
    /// was there before (SO_ORIGINAL_DST).
    Captured {
        /// The relay's port, which is no port of the app.
        relay_port: u16,
    },
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

/// The destination of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The port at which the client's socket is.
    pub(super) arrived: u16,
    /// The address that the client meant.
    pub(super) meant: SocketAddr,
    /// The app's: never 127.0.0.1, where apps listen that nobody outside may reach.
    pub(super) app: SocketAddr,
}

// === impl OriginalDestination ===

impl OriginalDestination {
    /// The destination of this connection, which `peer` made and the relay has accepted.
    ///
    /// # Errors
    ///
    /// See [`NoDestination`]. A connection that was made straight to the relay has no other
    /// destination than the relay: dialing it would be a loop.
    pub(super) fn of(&self, client: &TcpStream, peer: SocketAddr) -> Result<Origin, NoDestination> {
        let local = client.local_addr().map_err(NoDestination::Gone)?;
        let port = local.port();
        let direct = NoDestination::Direct { peer, port };
        match self {
            OriginalDestination::Fixed(address) => Ok(Origin {
                arrived: port,
                meant: local,
                app: *address,
            }),
            OriginalDestination::Captured { relay_port } => {
                let address = if port == *relay_port {
                    redirected(client, peer, port).ok_or(direct)?
                } else {
                    canonical(local)
                };
                Ok(Origin {
                    arrived: port,
                    meant: address,
                    app: address,
                })
            }
            OriginalDestination::NamedPorts(ports) => Ok(Origin {
                arrived: port,
                meant: local,
                app: named(local, ports).ok_or(direct)?,
            }),
        }
    }
}

/// IPv4 mapped into IPv6 as IPv4, and everything else as it is: a link-local address means nothing
/// without its scope.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

/// What the kernel remembers; `None` for a connection to the relay's own port.
fn redirected(client: &TcpStream, peer: SocketAddr, relay_port: u16) -> Option<SocketAddr> {
    let socket = socket2::SockRef::from(client);
    // A client of IPv4 on a socket of both families is asked about with IPv4's option.
    let original = match peer.ip().to_canonical() {
        IpAddr::V4(_) => socket.original_dst_v4(),
        IpAddr::V6(_) => socket.original_dst_v6(),
    };
    let address = original.ok()?.as_socket()?;
    (address.port() != relay_port).then_some(address)
}

/// The app's address for a connection to this port of the relay: the pod's own. A socket of both
/// families shows IPv4 mapped into IPv6; the app may listen on IPv4 alone.
fn named(meant: SocketAddr, ports: &BTreeMap<u16, u16>) -> Option<SocketAddr> {
    let port = *ports.get(&meant.port())?;
    Some(SocketAddr::new(meant.ip().to_canonical(), port))
}
