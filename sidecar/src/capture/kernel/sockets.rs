//! All TCP sockets of the pod at one moment.

use super::KernelError;
use nlink::netlink::{Connection, SockDiag};
use nlink::sockdiag::expr::FilterExpr;
use nlink::sockdiag::{InetSocket, SocketFilter, SocketInfo, SocketState, TcpState};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Those in which an end of a connection has something to say or to hear. A connection that the app
/// has closed and its client has acknowledged (FIN_WAIT2, TIME_WAIT) is over.
const CONNECTED: [TcpState; 5] = [
    TcpState::Established,
    TcpState::CloseWait,
    TcpState::FinWait1,
    TcpState::LastAck,
    TcpState::Closing,
];

/// All TCP sockets at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sockets {
    /// Ports that somebody listens on.
    pub(crate) listening: BTreeSet<u16>,
    /// This side of each connection.
    pub(crate) connected: Vec<Socket>,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// The kernel's number for it, which it never gives to another.
    pub(crate) id: u64,
    /// A process has it: it was accepted, and is not closed.
    pub(crate) owned: bool,
    /// This side's address.
    pub(crate) local: SocketAddr,
    /// The other's.
    pub(crate) remote: SocketAddr,
    /// This side has closed: it says nothing more.
    pub(crate) closed: bool,
    /// Bytes that this side has not read.
    pub(crate) unread: u32,
    /// Bytes that the other side has not acknowledged.
    pub(crate) unacknowledged: u32,
    /// Bytes that the other side has said in all.
    pub(crate) received: u64,
    /// Bytes that this side has said in all, and the other has acknowledged.
    pub(crate) sent: u64,
    /// How often the other side said something: segments with data.
    pub(crate) heard: u32,
    /// How long ago the last time was; `None` if it never did.
    pub(crate) heard_ago: Option<Duration>,
    /// How long ago this side said something for the last time; `None` if it never did.
    pub(crate) said_ago: Option<Duration>,
}

// === impl Sockets ===

impl Sockets {
    /// Asks the kernel, on a thread of its own: a look at ten thousand takes as long as many
    /// requests, and the relay goes on meanwhile. Connections from and to these addresses are left
    /// out, by the kernel itself.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub(crate) async fn list(without: [IpAddr; 2]) -> Result<Sockets, KernelError> {
        let asking = move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(Sockets::ask(without))
        };
        tokio::task::spawn_blocking(asking).await?
    }

    async fn ask(without: [IpAddr; 2]) -> Result<Sockets, KernelError> {
        let states = [&CONNECTED[..], &[TcpState::Listen]].concat();
        let [one, other] = without.map(neither_end);
        let filter = SocketFilter::tcp()
            .states(&states)
            .with_tcp_info()
            .filter_expr(FilterExpr::And(one, other))
            .build();
        let all = Connection::<SockDiag>::new()?.query(&filter).await?;
        let mut sockets = Sockets::default();
        for socket in all.iter().filter_map(SocketInfo::as_inet) {
            if socket.is_listening() {
                sockets.listening.insert(socket.local.port());
            } else {
                sockets.connected.push(Socket::from(socket));
            }
        }
        Ok(sockets)
    }
}

/// The expression for sockets of which neither end has the address.
fn neither_end(address: IpAddr) -> Box<FilterExpr> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let not = |expression| Box::new(FilterExpr::Not(Box::new(expression)));
    let source = not(FilterExpr::Src(address, bits));
    let destination = not(FilterExpr::Dst(address, bits));
    Box::new(FilterExpr::And(source, destination))
}

// === impl Socket ===

impl From<&InetSocket> for Socket {
    fn from(socket: &InetSocket) -> Socket {
        let state = match socket.state {
            SocketState::Tcp(state) => state,
            _ => TcpState::Unknown,
        };
        // A FIN counts as a byte in the queue that it waits in.
        let heard_fin = matches!(
            state,
            TcpState::CloseWait | TcpState::LastAck | TcpState::Closing
        );
        let closed = matches!(
            state,
            TcpState::FinWait1 | TcpState::LastAck | TcpState::Closing
        );
        let info = socket.tcp_info.as_ref();
        // A socket that never carried a byte shows the moment it was made.
        let ago = |segments: u32, milliseconds: u32| {
            (segments > 0).then(|| Duration::from_millis(milliseconds.into()))
        };
        Socket {
            id: socket.cookie,
            owned: socket.inode != 0,
            local: canonical(socket.local),
            remote: canonical(socket.remote),
            closed,
            unread: socket.recv_q.saturating_sub(heard_fin.into()),
            unacknowledged: socket.send_q.saturating_sub(closed.into()),
            received: info.map_or(0, |info| info.bytes_received),
            sent: info.map_or(0, |info| info.bytes_acked),
            heard: info.map_or(0, |info| info.data_segs_in),
            heard_ago: info.and_then(|info| ago(info.data_segs_in, info.last_data_recv)),
            said_ago: info.and_then(|info| ago(info.data_segs_out, info.last_data_sent)),
        }
    }
}

/// A client of IPv4 on a socket of both families, as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
