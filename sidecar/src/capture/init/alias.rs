//! The address at which the relay finds the app, and the way back from it.
//!
//! ```text
//! ip address add 169.254.17.44/32 dev lo scope host
//! ip route add local default dev lo table 17440
//! ip rule add from 169.254.17.44 priority 100 lookup 17440
//! ```
//!
//! The relay connects to it from the client's address. What the app answers is for that address,
//! and would leave the pod; the rule keeps it here, for whoever it is. IPv6 is the same with
//! `fdeb::44`.

use crate::upstream::{ALIASES, as_client_proves_itself};
use nlink::netlink::addr::{Ipv4Address, Ipv6Address};
use nlink::netlink::rule::RuleBuilder;
use nlink::netlink::types::addr::Scope;
use nlink::netlink::types::route::RouteType;
use nlink::netlink::{Connection, Route};
use nlink::{Ipv4Route, Ipv6Route};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The routing table of the way back; the relay's port is nobody else's number.
const TABLE: u32 = 17440;

/// The rule's place: after the kernel's own table `local` (0) and before `main` (32766).
const PRIORITY: u32 = 100;

/// Why the app can't be reached by its alias.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAlias {
    /// The kernel does not take it.
    #[error("no alias for the app on lo: {0}")]
    Kernel(#[from] nlink::Error),
    /// The kernel took it, and a connection to it came to nothing.
    #[error("no connection to the app's alias {address}: {source}")]
    Connection {
        address: IpAddr,
        source: std::io::Error,
    },
}

/// Adds the aliases of the families that the pod has, and proves each by a connection, as the relay
/// will make them. It may run again.
///
/// # Errors
///
/// The app can't be reached as each of its clients. No alias is left then.
pub(super) async fn add() -> Result<(), NoAlias> {
    let kernel = Connection::<Route>::new()?;
    let added = add_all(&kernel).await;
    if added.is_err() {
        remove(&kernel).await;
    }
    added
}

async fn add_all(kernel: &Connection<Route>) -> Result<(), NoAlias> {
    let (four, six) = ALIASES;
    add_four(kernel, four).await?;
    prove(four.into()).await?;
    if !has_ipv6(kernel).await? {
        return Ok(());
    }
    add_six(kernel, six).await?;
    prove(six.into()).await
}

/// Whether any device but `lo` has an address of IPv6, be it a link-local one: clients on the same
/// link use those.
async fn has_ipv6(kernel: &Connection<Route>) -> Result<bool, nlink::Error> {
    let lo = kernel.get_link_by_name("lo").await?.map(|lo| lo.ifindex());
    let addresses = kernel.get_addresses().await?;
    let mut others = addresses.iter().filter(|it| Some(it.ifindex()) != lo);
    Ok(others.any(|address| address.is_ipv6()))
}

/// Nobody would use them. The rules and routes of the way back then match nothing.
async fn remove(kernel: &Connection<Route>) {
    let (four, six) = ALIASES;
    for (alias, bits) in [(IpAddr::from(four), 32), (six.into(), 128)] {
        if let Err(error) = kernel.del_address_if_exists("lo", alias, bits).await {
            tracing::warn!(%alias, %error, "an address that nobody uses stays on lo");
        }
    }
}

async fn prove(address: IpAddr) -> Result<(), NoAlias> {
    as_client_proves_itself(address)
        .await
        .map_err(|source| NoAlias::Connection { address, source })
}

async fn add_four(kernel: &Connection<Route>, alias: Ipv4Addr) -> Result<(), nlink::Error> {
    let address = Ipv4Address::new("lo", alias, 32).scope(Scope::Host);
    kernel.replace_address(address).await?;
    let back = Ipv4Route::default_route()
        .route_type(RouteType::Local)
        .dev("lo")
        .table(TABLE);
    kernel.replace_route(back).await?;
    add_rule(kernel, RuleBuilder::v4().from_v4(alias, 32)).await
}

async fn add_six(kernel: &Connection<Route>, alias: Ipv6Addr) -> Result<(), nlink::Error> {
    let address = Ipv6Address::new("lo", alias, 128).nodad();
    kernel.replace_address(address).await?;
    let back = Ipv6Route::default_route()
        .route_type(RouteType::Local)
        .dev("lo")
        .table(TABLE);
    kernel.replace_route(back).await?;
    add_rule(kernel, RuleBuilder::v6().from_v6(alias, 128)).await
}

async fn add_rule(kernel: &Connection<Route>, rule: RuleBuilder) -> Result<(), nlink::Error> {
    match kernel.add_rule(rule.priority(PRIORITY).table(TABLE)).await {
        Err(error) if error.is_already_exists() => Ok(()),
        added => added,
    }
}
