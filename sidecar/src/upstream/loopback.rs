//! Connections to the app that are bound to the loopback device.

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const DEVICE: &[u8] = b"lo";

/// How long a connection to a listener of our own may take, whose queue is empty.
pub(super) const PROOF_TIME: Duration = Duration::from_millis(500);

/// A socket for connections to this address that is bound to `lo` (SO_BINDTODEVICE, which needs no
/// privilege since Linux 5.7).
///
/// # Errors
///
/// What the kernel says.
pub(super) fn socket(destination: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(destination),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.bind_device(Some(DEVICE))?;
    Ok(socket)
}

/// Connects such a socket.
///
/// # Errors
///
/// What the kernel says, or `TimedOut` after `patience`; see [`may_be_to_blame`].
pub(super) async fn connect(
    socket: Socket,
    destination: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    let address = destination.into();
    let connected = match socket.connect(&address) {
        // Over lo the answer is there when this returns, but only asking again tells it. That is
        // cheaper than to wait for an event, and for a timer beside it.
        Err(error) if is_under_way(&error) => socket.connect(&address),
        at_once => at_once,
    };
    let stream = match connected {
        Ok(()) => return TcpStream::from_std(socket.into()),
        Err(error) if is_under_way(&error) => TcpStream::from_std(socket.into())?,
        Err(error) => return Err(error),
    };
    tokio::time::timeout(patience, stream.writable()).await??;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INPROGRESS | Errno::ALREADY)
    )
}

/// True for errors that a connection which is not bound to `lo` may not meet. Without a route on
/// `lo`, IPv6 has none and IPv4 sends into the void.
pub(super) fn may_be_to_blame(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TimedOut
    )
}

/// Connects to `address` over `lo`, there and back, to prove that it works.
///
/// # Errors
///
/// It does not; why.
pub(crate) async fn proves_itself(address: IpAddr) -> io::Result<()> {
    let listener = TcpListener::bind((address, 0)).await?;
    let destination = listener.local_addr()?;
    let dialed = connect(socket(destination)?, destination, PROOF_TIME);
    let both = async { tokio::try_join!(dialed, listener.accept()) };
    tokio::time::timeout(PROOF_TIME, both).await??;
    Ok(())
}
