//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::time::Instant;

/// Who made a connection, and to what. It stands beside the connection's record and not in it:
/// nobody reads it while bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the client is; IPv4 is not mapped into IPv6.
    pub client: SocketAddr,
    /// The app's port.
    pub port: u16,
    /// The kernel's number for the client's socket, by which it is known among all of the pod's;
    /// 0 where nobody asks for it.
    pub socket: u64,
    /// Since when the connection is known.
    pub since: Instant,
}

impl Peer {
    /// Nobody.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn nobody() -> Peer {
        Peer {
            client: SocketAddr::from(([0, 0, 0, 0], 0)),
            port: 0,
            socket: 0,
            since: Instant::now(),
        }
    }
}
