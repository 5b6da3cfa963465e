//! The rules that hand inbound connections to the relay as they are.
//!
//! In the syntax of nft:
//!
//! ```text
//! table inet ebb {
//!   chain inbound {
//!     type filter hook prerouting priority mangle
//!     iifname != "lo" tcp flags & (fin|syn|rst|ack) == syn jump opening
//!     iifname != "lo" tcp flags & (syn|rst|ack) == ack socket transparent 1 accept
//!     iifname != "lo" tcp flags & (syn|rst|ack) == ack jump opening
//!   }
//!   chain opening {
//!     tcp dport 17440 accept        (and 17441, and each excluded port)
//!     socket transparent 1      tproxy to :17440 accept
//!     socket wildcard { 0, 1 }  tproxy to :17440 accept
//!     socket transparent 1      tproxy to :17442 reject with tcp reset
//!     socket wildcard { 0, 1 }  tproxy to :17442 reject with tcp reset
//!   }
//! }
//! ```
//!
//! It is the first packet of a connection that decides: the kernel leads the others to the socket
//! that took the first. But while a flood of first packets lasts it keeps no such socket, and puts
//! all it has to know into its answer (a SYN cookie): then the client's next packet is the first
//! that counts. Such packets are known by this, that no connection of the relay's takes them.
//! `tproxy` leaves one alone that belongs to a connection of the app's own.
//!
//! `socket` asks for the socket that the packet would reach. `wildcard` matches when one listens
//! there, bound to an address (0) or to all (1), and does not when nobody does: such a port stays
//! refused as if Ebb were not there, and a `tcpSocket` probe stays truthful. `transparent` matches
//! the end of an earlier connection of the relay's in TIME_WAIT: without it a client that uses its
//! port again would find the app itself.
//!
//! `tproxy` matches when a transparent socket listens on its port. So while the relay's is open, it
//! gets the connection; while the refusal port is open in its place, the connection is refused; and
//! while neither is, since the sidecar is not there, the app gets it, as if Ebb were not there.

use super::table::{TCP, Table, chain, exceptions, remove, rule};
use ebb_api::names::{REFUSAL_PORT, RELAY_PORT};
use nlink::netlink::nftables::{
    BaseChain, Family, FilterHook, Priority, Rule, SocketMatch, TcpFlags,
};

const INBOUND: &str = "inbound";
const OPENING: &str = "opening";

/// The sockets of which a connection is the relay's: see above.
const SOCKETS: [SocketMatch; 3] = [
    SocketMatch::Transparent(true),
    SocketMatch::Wildcard(false),
    SocketMatch::Wildcard(true),
];

/// Writes the rules.
///
/// # Errors
///
/// The kernel does not take them, or the process lacks NET_ADMIN in the pod's network namespace. No
/// rule is in force then.
pub(super) async fn write(exclude_ports: &[u16]) -> Result<(), nlink::Error> {
    match table(exclude_ports)?.commit().await {
        Ok(()) => Ok(()),
        Err(error) => {
            // Rules of an earlier run are those of a mode that, by the result, is not in force.
            remove().await?;
            Err(error)
        }
    }
}

fn table(exclude_ports: &[u16]) -> Result<Table, nlink::Error> {
    let inbound = |flags, of| rule(INBOUND).match_iif_not("lo").match_tcp_flags(flags, of);
    let first_packet = inbound(
        TcpFlags::SYN,
        TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST | TcpFlags::ACK,
    );
    let later_packet = || inbound(TcpFlags::ACK, TcpFlags::SYN | TcpFlags::RST | TcpFlags::ACK);
    let of_the_relay = later_packet().match_socket(SocketMatch::Transparent(true));
    let inbound = [
        first_packet.try_jump(OPENING)?,
        of_the_relay.accept(),
        later_packet().try_jump(OPENING)?,
    ];
    let hand = |socket: SocketMatch, port| -> Rule {
        rule(OPENING)
            .match_l4proto(TCP)
            .match_socket(socket)
            .tproxy(Family::Inet, None, Some(port))
    };
    let hand_over = SOCKETS.map(|socket| hand(socket, RELAY_PORT).accept());
    let refuse = SOCKETS.map(|socket| hand(socket, REFUSAL_PORT).reject_tcp_reset());
    Ok(Table {
        chains: vec![
            chain(OPENING)?,
            chain(INBOUND)?.base(BaseChain::filter(FilterHook::Prerouting, Priority::Mangle)),
        ],
        rules: exceptions(OPENING, exclude_ports)
            .chain(hand_over)
            .chain(refuse)
            .chain(inbound)
            .collect(),
    })
}
