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
use ebb_api::names::{ADMIN_PORT, RELAY_PORT};
use nlink::netlink::nftables::{
    BaseChain, Chain, CtState, Family, FilterHook, NatHook, Priority, Rule, SocketMatch,
};
use nlink::netlink::{Connection, Nftables};

/// The table that holds all of it. Nobody else's rules are touched.
const TABLE: &str = "ebb";
const INBOUND: &str = "inbound";
const INVALID: &str = "invalid";
const TCP: u8 = 6;

/// Takes all rules away.
pub(super) async fn remove() -> Result<(), nlink::Error> {
    let connection = Connection::<Nftables>::new()?;
    connection.del_table_if_exists(TABLE, Family::Inet).await?;
    Ok(())
}

/// Writes them, with the rule that asks whether the app listens where the kernel knows it. It may
/// run again: kubelet runs the step anew when the pod's sandbox died.
///
/// # Errors
///
/// The kernel takes neither rule, or the process lacks NET_ADMIN in the pod's network namespace.
/// No rule is in force then.
pub(super) async fn write(exclude_ports: &[u16]) -> Result<Selection, nlink::Error> {
    let connection = Connection::<Nftables>::new()?;
    match commit(&connection, exclude_ports, &Selection::Listening).await {
        Ok(()) => Ok(Selection::Listening),
        Err(error) => {
            let all = Selection::All(error.to_string());
            match commit(&connection, exclude_ports, &all).await {
                Ok(()) => Ok(all),
                Err(error) => {
                    // Rules of an earlier run would send clients to a relay that, by the result, is
                    // not to run.
                    remove().await?;
                    Err(error)
                }
            }
        }
    }
}

async fn is_there(connection: &Connection<Nftables>) -> Result<bool, nlink::Error> {
    let tables = connection.list_tables_in(Family::Inet).await?;
    Ok(tables.iter().any(|table| table.name == TABLE))
}

/// Replaces the whole table in one transaction: either all of it is in force, or what was before.
async fn commit(
    connection: &Connection<Nftables>,
    exclude_ports: &[u16],
    selection: &Selection,
) -> Result<(), nlink::Error> {
    let inbound = Chain::new(TABLE, INBOUND)?
        .family(Family::Inet)
        .base(BaseChain::nat(NatHook::Prerouting, Priority::DstNat));
    let invalid = Chain::new(TABLE, INVALID)?
        .family(Family::Inet)
        .base(BaseChain::filter(FilterHook::Input, Priority::Filter));
    // Deleted only where it is: "delete if it exists" needs kernel 6.3. Nobody else writes here.
    let mut transaction = connection.transaction();
    if is_there(connection).await? {
        transaction = transaction.del_table(TABLE, Family::Inet);
    }
    transaction = transaction
        .add_table(TABLE, Family::Inet)
        .add_chain(inbound)
        .add_chain(invalid);
    for port in [RELAY_PORT, ADMIN_PORT].iter().chain(exclude_ports) {
        transaction = transaction.add_rule(rule(INBOUND).match_tcp_dport(*port).accept());
    }
    let inbound_tcp = |rule: Rule| rule.match_iif_not("lo").match_l4proto(TCP);
    match selection {
        Selection::Listening => {
            for wildcard in [false, true] {
                let listening =
                    inbound_tcp(rule(INBOUND)).match_socket(SocketMatch::Wildcard(wildcard));
                transaction = transaction.add_rule(listening.redirect(Some(RELAY_PORT)));
            }
        }
        Selection::All(_) => {
            transaction =
                transaction.add_rule(inbound_tcp(rule(INBOUND)).redirect(Some(RELAY_PORT)));
        }
    }
    transaction
        .add_rule(inbound_tcp(rule(INVALID).match_ct_state(CtState::INVALID)).drop())
        .commit(connection)
        .await
}

fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(Family::Inet)
}
