//! The way from the relay to the app: the pod's own addresses, routed by the loopback device.
//!
//! The relay dials the app at the pod's address, and its sockets end in TIME_WAIT whenever clients
//! close first: one minute each, of 28,232 ports. The kernel gives such a port away sooner if its
//! socket was bound to `lo` (net.ipv4.tcp_tw_reuse=2, the default, asks for that to be sure that no
//! old segment is on the way). But the kernel's own route to the pod's address names the pod's
//! network device, and that is in the way twice: a lookup for a socket that is bound to `lo` does
//! not find it, and the app's answer, looked up without a device, finds it and is taken for one
//! that came in by that device.
//!
//! So each global address gets the same route with `lo` as its device, in place of the kernel's:
//!
//! ```text
//! ip route add local 10.1.2.3 dev lo table local metric 10
//! ip route del local 10.1.2.3 dev eth0 table local
//! ```
//!
//! The address stays where it is: what comes in by `eth0` is still for it, neighbors still get
//! their answers (these ask for the address, or for any local route), and connections that the app
//! opens to others never look at this route.

use crate::upstream::proves_itself;
use nlink::netlink::messages::{AddressMessage, RouteMessage};
use nlink::netlink::types::addr::Scope;
use nlink::netlink::types::route::{RouteProtocol, RouteType, rt_table};
use nlink::netlink::{Connection, Route};
use nlink::{Ipv4Route, Ipv6Route};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metric of our routes. IPv4 has no two routes with the same, and the kernel's has 0: while
/// both are there, the kernel's is used.
const METRIC: u32 = 10;

const TABLE: u32 = rt_table::LOCAL as u32;

/// Why an address was not moved.
#[derive(Debug, thiserror::Error)]
enum NotMoved {
    #[error("its route cannot be changed")]
    Route(#[source] nlink::Error),
    #[error("no connection over lo")]
    Connection(#[source] std::io::Error),
}

/// A route to one of the pod's own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LocalRoute {
    address: IpAddr,
    /// Index of the device.
    device: u32,
    protocol: RouteProtocol,
    metric: Option<u32>,
    /// The source that it prefers, which the kernel writes for IPv4.
    source: Option<IpAddr>,
}

/// What is to be done for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Move {
    ours: LocalRoute,
    /// True if an earlier run has added it.
    is_there: bool,
    /// `None` if an earlier run has deleted it.
    kernels: Option<LocalRoute>,
}

/// Moves all global addresses, and returns those that were: proven by a connection. It does not
/// fail; an address that cannot be moved stays as it was, and is dialed as without this step.
pub(super) async fn move_to_loopback() -> Vec<IpAddr> {
    let mut moved = Vec::new();
    let kernel = match Connection::<Route>::new() {
        Ok(kernel) => kernel,
        Err(error) => {
            tracing::warn!(%error, "the pod's routes stay as they are");
            return moved;
        }
    };
    let moves = match look(&kernel).await {
        Ok(moves) => moves,
        Err(error) => {
            tracing::warn!(%error, "the pod's routes cannot be read, and stay as they are");
            return moved;
        }
    };
    for step in moves {
        let address = step.ours.address;
        match step.carry_out(&kernel).await {
            Ok(()) => moved.push(address),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%address, %error, cause, "address not routed by lo: at most some 470 new connections a second that clients close first");
                step.undo(&kernel).await;
            }
        }
    }
    moved
}

async fn look(kernel: &Connection<Route>) -> Result<Vec<Move>, nlink::Error> {
    let links = kernel.get_links().await?;
    let Some(lo) = links.iter().find(|link| link.is_loopback()) else {
        return Ok(Vec::new());
    };
    let addresses = kernel.get_addresses().await?;
    let routes = kernel.get_routes_for_table(TABLE).await?;
    Ok(plan(lo.ifindex(), &addresses, &routes))
}

/// What is to be done with these addresses and these routes of the table `local`. An IPv6 address
/// that is tentative is left alone: the kernel writes its route when it no longer is.
fn plan(lo: u32, addresses: &[AddressMessage], routes: &[RouteMessage]) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    for address in addresses {
        let Some(ip) = address.primary_address().copied() else {
            continue;
        };
        let is_ours = address.ifindex() != lo
            && address.scope() == Scope::Universe
            && !address.is_tentative()
            && moves.iter().all(|known| known.ours.address != ip);
        if !is_ours {
            continue;
        }
        let mut own = routes
            .iter()
            .filter(|route| route.route_type() == RouteType::Local && route.is_host())
            .filter(|route| route.destination() == Some(&ip));
        let is_there = own.clone().any(|route| route.oif() == Some(lo));
        let kernels = own
            .find(|route| route.oif() == Some(address.ifindex()))
            .map(|route| LocalRoute {
                address: ip,
                device: address.ifindex(),
                protocol: route.protocol(),
                metric: route.priority(),
                source: route.prefsrc().copied(),
            });
        if is_there || kernels.is_some() {
            let ours = LocalRoute {
                address: ip,
                device: lo,
                protocol: RouteProtocol::Static,
                metric: Some(METRIC),
                source: None,
            };
            moves.push(Move {
                ours,
                is_there,
                kernels,
            });
        }
    }
    moves
}

// === impl Move ===

impl Move {
    /// Adds before it deletes, so that there is no moment without a route.
    async fn carry_out(&self, kernel: &Connection<Route>) -> Result<(), NotMoved> {
        if !self.is_there {
            self.ours.add(kernel).await.map_err(NotMoved::Route)?;
        }
        if let Some(kernels) = &self.kernels {
            kernels.delete(kernel).await.map_err(NotMoved::Route)?;
        }
        proves_itself(self.ours.address)
            .await
            .map_err(NotMoved::Connection)
    }

    /// Puts back what was there, as far as it is not.
    async fn undo(&self, kernel: &Connection<Route>) {
        let put_back = match &self.kernels {
            None => Ok(()),
            Some(kernels) => match kernels.add(kernel).await {
                Err(error) if !error.is_already_exists() => Err(error),
                _ => Ok(()),
            },
        };
        let undone = match put_back {
            // An only route is better than none.
            Ok(()) if !self.is_there => self.ours.delete(kernel).await,
            put_back => put_back,
        };
        if let Err(error) = undone {
            tracing::error!(address = %self.ours.address, %error, "the routes of an address are not as they were");
        }
    }
}

// === impl LocalRoute ===

impl LocalRoute {
    async fn add(&self, kernel: &Connection<Route>) -> Result<(), nlink::Error> {
        match self.address {
            IpAddr::V4(address) => kernel.add_route(self.ipv4(address)).await,
            IpAddr::V6(address) => kernel.add_route(self.ipv6(address)).await,
        }
    }

    /// One that is not there is deleted already.
    async fn delete(&self, kernel: &Connection<Route>) -> Result<(), nlink::Error> {
        match self.address {
            IpAddr::V4(address) => kernel.del_route_if_exists(self.ipv4(address)).await,
            IpAddr::V6(address) => kernel.del_route_if_exists(self.ipv6(address)).await,
        }?;
        Ok(())
    }

    fn ipv4(&self, address: Ipv4Addr) -> Ipv4Route {
        let mut route = Ipv4Route::new(address, 32)
            .route_type(RouteType::Local)
            .protocol(self.protocol)
            .table(TABLE)
            .dev_index(self.device);
        if let Some(metric) = self.metric {
            route = route.metric(metric);
        }
        if let Some(IpAddr::V4(source)) = self.source {
            route = route.prefsrc(source);
        }
        route
    }

    fn ipv6(&self, address: Ipv6Addr) -> Ipv6Route {
        let route = Ipv6Route::new(address, 128)
            .route_type(RouteType::Local)
            .protocol(self.protocol)
            .table(TABLE)
            .dev_index(self.device);
        match self.metric {
            Some(metric) => route.metric(metric),
            None => route,
        }
    }
}
