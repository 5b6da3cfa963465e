//! The rules of the redirect.
//!
//! In the syntax of nft:
//!
//! ```text
//! table inet ebb {
//!   chain inbound {
//!     type nat hook prerouting priority dstnat
//!     tcp dport 17440 accept        (and 17441, and each excluded port)
//!     iifname != "lo" meta l4proto tcp socket wildcard { 0, 1 } redirect to :17440
//!   }
//!   chain invalid {
//!     type filter hook input priority filter
//!     ct state invalid iifname != "lo" meta l4proto tcp drop
//!   }
//! }
//! ```
//!
//! `socket wildcard` asks the kernel for the socket that the packet would reach. It matches when
//! there is one, bound to an address (0) or to all (1), and does not when nobody listens: such a
//! port stays refused as if Ebb were not there, and a `tcpSocket` probe stays truthful.
//!
//! A packet that connection tracking holds invalid (a late duplicate of a connection that it has
//! forgotten) would otherwise reach the stack under its unredirected address, be answered with a
//! reset, and take the relayed connection with it. Every packet comes by this rule, so it asks
//! first for what hardly any of them is. Over `lo` nothing is redirected, and there the end of a
//! connection that was silent for long is such a packet: it must arrive.

use super::result::Selection;
use super::table::{TCP, Table, chain, exceptions, remove, rule};
use ebb_api::names::RELAY_PORT;
use nlink::netlink::nftables::{
    BaseChain, CtState, FilterHook, NatHook, Priority, Rule, SocketMatch,
};

const INBOUND: &str = "inbound";
const INVALID: &str = "invalid";

/// Writes the rules, with the one that asks whether the app listens where the kernel knows it.
///
/// # Errors
///
/// The kernel takes neither rule, or the process lacks NET_ADMIN in the pod's network namespace.
/// No rule is in force then.
pub(super) async fn write(exclude_ports: &[u16]) -> Result<Selection, nlink::Error> {
    let Err(error) = table(exclude_ports, &Selection::Listening)?.commit().await else {
        return Ok(Selection::Listening);
    };
    let all = Selection::All(error.to_string());
    match table(exclude_ports, &all)?.commit().await {
        Ok(()) => Ok(all),
        Err(error) => {
            // Rules of an earlier run would send clients to a relay that, by the result, is not to
            // run.
            remove().await?;
            Err(error)
        }
    }
}

fn table(exclude_ports: &[u16], selection: &Selection) -> Result<Table, nlink::Error> {
    let inbound_tcp = |rule: Rule| rule.match_iif_not("lo").match_l4proto(TCP);
    let listening = |wildcard| {
        inbound_tcp(rule(INBOUND))
            .match_socket(SocketMatch::Wildcard(wildcard))
            .redirect(Some(RELAY_PORT))
    };
    let redirects = match selection {
        Selection::Listening => vec![listening(false), listening(true)],
        Selection::All(_) => vec![inbound_tcp(rule(INBOUND)).redirect(Some(RELAY_PORT))],
    };
    let invalid = inbound_tcp(rule(INVALID).match_ct_state(CtState::INVALID)).drop();
    Ok(Table {
        chains: vec![
            chain(INBOUND)?.base(BaseChain::nat(NatHook::Prerouting, Priority::DstNat)),
            chain(INVALID)?.base(BaseChain::filter(FilterHook::Input, Priority::Filter)),
        ],
        rules: exceptions(INBOUND, exclude_ports)
            .chain(redirects)
            .chain([invalid])
            .collect(),
    })
}
