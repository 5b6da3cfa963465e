//! The nftables table that holds the rules of whichever mode. Nobody else's rules are touched.

use ebb_api::names::{ADMIN_PORT, RELAY_PORT};
use nlink::netlink::nftables::{Chain, Family, Rule};
use nlink::netlink::{Connection, Nftables};

const TABLE: &str = "ebb";

/// TCP, as the rules write it (IANA's protocol numbers).
pub(super) const TCP: u8 = 6;

/// What is to stand in the table.
pub(super) struct Table {
    pub(super) chains: Vec<Chain>,
    pub(super) rules: Vec<Rule>,
}

// === impl Table ===

impl Table {
    /// Replaces the whole table in one transaction: either all of it is in force, or what was
    /// before. It may run again: kubelet runs the step anew when the pod's sandbox died.
    ///
    /// # Errors
    ///
    /// The kernel does not take it, or the process lacks NET_ADMIN in the pod's network namespace.
    pub(super) async fn commit(self) -> Result<(), nlink::Error> {
        let connection = Connection::<Nftables>::new()?;
        let mut transaction = connection.transaction();
        // Deleted only where it is: "delete if it exists" needs kernel 6.3. Nobody else writes
        // here.
        if is_there(&connection).await? {
            transaction = transaction.del_table(TABLE, Family::Inet);
        }
        transaction = transaction.add_table(TABLE, Family::Inet);
        for chain in self.chains {
            transaction = transaction.add_chain(chain);
        }
        for rule in self.rules {
            transaction = transaction.add_rule(rule);
        }
        transaction.commit(&connection).await
    }
}

async fn is_there(connection: &Connection<Nftables>) -> Result<bool, nlink::Error> {
    let tables = connection.list_tables_in(Family::Inet).await?;
    Ok(tables.iter().any(|table| table.name == TABLE))
}

/// Takes all rules away.
pub(super) async fn remove() -> Result<(), nlink::Error> {
    let connection = Connection::<Nftables>::new()?;
    connection.del_table_if_exists(TABLE, Family::Inet).await?;
    Ok(())
}

/// A chain of the table that has this name.
pub(super) fn chain(name: &str) -> Result<Chain, nlink::Error> {
    Ok(Chain::new(TABLE, name)?.family(Family::Inet))
}

/// The beginning of a rule in that chain.
pub(super) fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(Family::Inet)
}

/// The rules that let connections to our own ports and to the excluded ones pass by all others.
pub(super) fn exceptions(chain: &str, exclude_ports: &[u16]) -> impl Iterator<Item = Rule> {
    [RELAY_PORT, ADMIN_PORT]
        .iter()
        .chain(exclude_ports)
        .map(move |port| rule(chain).match_tcp_dport(*port).accept())
}
