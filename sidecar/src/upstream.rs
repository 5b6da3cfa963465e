//! The app's side: where a connection was meant to go, and going there.

use crate::relay::prepare;
use std::io;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};

/// Where the connections of a relay were meant to go.
#[derive(Clone, Copy, Debug)]
pub enum OriginalDestination {
    /// The kernel remembers it for each redirected connection (SO_ORIGINAL_DST).
    Redirected,
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

impl OriginalDestination {
    /// Where this accepted connection was meant to go.
    ///
    /// # Errors
    ///
    /// A connection that was made straight to the relay has no other destination than the relay:
    /// dialing it would be a loop.
    pub fn of(&self, client: &TcpStream) -> Result<SocketAddr, NoDestination> {
        let destination = match self {
            OriginalDestination::Fixed(destination) => return Ok(*destination),
            OriginalDestination::Redirected => client,
        };
        let local = destination.local_addr().map_err(NoDestination::Gone)?;
        let peer = destination.peer_addr().map_err(NoDestination::Gone)?;
        let socket = socket2::SockRef::from(destination);
        // A client of IPv4 on a socket of both families is asked about with IPv4's option.
        let original = match peer.ip().to_canonical() {
            IpAddr::V4(_) => socket.original_dst_v4(),
            IpAddr::V6(_) => socket.original_dst_v6(),
        };
        original
            .ok()
            .and_then(|address| address.as_socket())
            .filter(|address| address.port() != local.port())
            .ok_or(NoDestination::Direct {
                peer,
                port: local.port(),
            })
    }
}

/// Connects to the app at its original address: never to 127.0.0.1, where apps listen that nobody
/// outside may reach.
pub(crate) async fn dial(destination: SocketAddr) -> io::Result<TcpStream> {
    let socket = match destination {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Not bound to the loopback device, although only that lets the kernel use a source port again
    // that is in TIME_WAIT (tcp_tw_reuse 2): the pod's own address is routed by its network device,
    // so such a connection has no route (IPv6) or goes nowhere (IPv4). The price is that one port
    // of the app takes some 470 new connections a second that their clients close first.
    let stream = socket.connect(destination).await?;
    prepare(&stream)?;
    Ok(stream)
}
