//! Connections to the app under the client's own address and port.
//!
//! The app's leg begins at the client's address, which is not the pod's: that takes
//! `IP_TRANSPARENT`. It goes to an alias on `lo` and not to the address that the client meant: from
//! there to there is the client's own connection, and no two can be the same. The init step has
//! seen to it that what the app answers from the alias stays in the pod.

use super::loopback;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// The addresses at which the relay finds the app, for clients of IPv4 and of IPv6. The first is
/// link-local (RFC 3927), the second unique local (RFC 4193), so no client of the pod has either,
/// and no router takes them anywhere.
pub(crate) const ALIASES: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(169, 254, 17, 44),
    Ipv6Addr::new(0xfdeb, 0, 0, 0, 0, 0, 0, 0x44),
);

/// How often a connection to an alias is tried before it is taken to be broken. Then the app sees
/// the pod's own address, which servers trust.
const ATTEMPTS: u32 = 5;

/// The index of `lo`: the kernel makes it first in every network namespace.
const LOOPBACK: u32 = 1;

/// Whether this is one of the addresses at which the relay finds the app.
pub(crate) fn is_alias(address: IpAddr) -> bool {
    let (four, six) = ALIASES;
    address == IpAddr::V4(four) || address == IpAddr::V6(six)
}

/// Connects to this port of the app from the client's own address and port, or from another port of
/// the same address where the client's own can't be had: a connection of it that has just ended may
/// still hold it, or it may have one to another address of the pod.
///
/// # Errors
///
/// What the kernel says; `AddrNotAvailable` if no port was free, `TimedOut` after `patience`.
pub(super) async fn connect(
    client: SocketAddr,
    port: u16,
    patience: Duration,
) -> io::Result<TcpStream> {
    let app = SocketAddr::new(alias(client.ip()), port);
    let mut source = on_loopback(client);
    match connect_from(source, app, patience).await {
        Err(error) if is_taken(&error) => {
            source.set_port(0);
            connect_from(source, app, patience).await
        }
        connected => connected,
    }
}

/// The client's address on the device that it is to be bound on: a link-local one would bind the
/// socket to the client's.
fn on_loopback(client: SocketAddr) -> SocketAddr {
    match client {
        SocketAddr::V6(mut six) if six.ip().is_unicast_link_local() => {
            six.set_scope_id(LOOPBACK);
            six.into()
        }
        other => other,
    }
}

/// The one for clients of this address's family.
pub(super) fn alias(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => ALIASES.0.into(),
        IpAddr::V6(_) => ALIASES.1.into(),
    }
}

/// Connects to this alias as the relay does, from an address that is nobody's (RFC 5737, RFC 3849),
/// to prove that it works. On a busy node a connection may take longer than it is given, so it is
/// tried [`ATTEMPTS`] times.
///
/// # Errors
///
/// It does not; why.
pub(crate) async fn proves_itself(alias: IpAddr) -> io::Result<()> {
    let mut attempt = 1;
    loop {
        match reaches_itself(alias).await {
            Err(error) if attempt < ATTEMPTS => {
                tracing::info!(%alias, %error, attempt, "no connection to the alias, trying again");
            }
            reached => return reached,
        }
        attempt += 1;
    }
}

async fn reaches_itself(alias: IpAddr) -> io::Result<()> {
    let nobody: IpAddr = match alias {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let listener = TcpListener::bind((alias, 0)).await?;
    let app = listener.local_addr()?;
    let dialed = connect_from(SocketAddr::new(nobody, 0), app, loopback::PROOF_TIME);
    let both = async { tokio::try_join!(dialed, listener.accept()) };
    tokio::time::timeout(loopback::PROOF_TIME, both).await??;
    Ok(())
}

async fn connect_from(
    source: SocketAddr,
    app: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    let socket = loopback::socket(app)?;
    // The kernel has one flag for both families, and takes this option on a socket of either.
    socket.set_ip_transparent_v4(true)?;
    // A client may have connections from one port to several of the pod's.
    socket.set_reuse_address(true)?;
    socket.bind(&source.into())?;
    loopback::connect(socket, app, patience).await
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
    )
}
