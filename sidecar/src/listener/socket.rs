//! The listening socket, and what every connection that it accepts inherits from it.

use super::Kind;
use crate::relay::keepalive;
use crate::stance::Stance;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// Connections that the kernel keeps until they are accepted; it lowers this to somaxconn, 4096 by
/// default.
const BACKLOG: i32 = 4096;

/// Opens this port for IPv6 and IPv4 with one socket, or for IPv4 alone where the node has no IPv6.
///
/// # Errors
///
/// What `open` says.
pub(crate) fn on_all_addresses<T>(
    port: u16,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match open((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if has_no_ipv6(&error) => open((Ipv4Addr::UNSPECIFIED, port).into()),
        opened => opened,
    }
}

/// Listens on this address.
pub(super) fn open(address: SocketAddr, kind: Kind) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    match kind {
        Kind::Plain => {}
        // The kernel has one flag for both families, and takes this option on a socket of either.
        Kind::Transparent { .. } => socket.set_ip_transparent_v4(true)?,
    }
    // Connections of an earlier start may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Linux hands these on to every connection that is accepted: one system call here is one less
    // for each of them.
    socket.set_tcp_keepalive(&keepalive::in_stance(Stance::Serving))?;
    socket.set_tcp_nodelay(true)?;
    // A byte that a client sends as urgent keeps its place among the others (RFC 6093 section 6);
    // the kernel would keep it apart, and the app would never get it.
    socket.set_out_of_band_inline(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn has_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use tokio::net::TcpStream;

    /// Every accepted connection sends small answers at once and finds out that its client is gone:
    /// it has that from the listener.
    #[tokio::test]
    async fn connections_inherit_what_they_need() {
        let listener = on_all_addresses(0, |address| open(address, Kind::Plain)).unwrap();
        let address = (Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port());
        let _client = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.out_of_band_inline().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 24);
    }
}
