//! A pod's network: a namespace with one interface, and the addresses of that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::network::Network;

/// The addresses of every pod on a cable, IPv4 first. 198.18.0.0/15 (RFC 2544) and fd00::/8 (RFC
/// 4193) are nobody's, and both ends are in networks of their own, so that they can be the same in
/// each pair.
pub const POD: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 18, 64, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xeb, 0, 0, 0, 0, 0, 2)),
];

/// The addresses of the other end.
const OUTSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 18, 64, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xeb, 0, 0, 0, 0, 0, 1)),
];

/// The interface of every pod.
const INTERFACE: &str = "eth0";

/// A pod's network. Whether there is a sidecar in it is up to [`Launch`](crate::sidecar::Launch).
#[derive(Debug)]
pub struct Pod {
    network: Network,
    addresses: Vec<IpAddr>,
}

/// The network at the other end of a pod's cable: where its clients are.
#[derive(Debug)]
pub struct Outside {
    network: Network,
}

// === impl Pod ===

impl Pod {
    /// A pod and the network outside of it, joined by a cable, with an IPv4 and an IPv6 address
    /// each.
    pub fn cabled() -> Result<(Self, Outside)> {
        let outside = Outside {
            network: Network::make()?,
        };
        let network = Network::make()?;
        let (far, near) = (&outside.network, &network);
        far.ip(&format!(
            "link add {} type veth peer name {INTERFACE} netns {}",
            Outside::INTERFACE,
            near.pid()
        ))?;
        for (end, interface, [four, six]) in
            [(far, Outside::INTERFACE, OUTSIDE), (near, INTERFACE, POD)]
        {
            end.ip(&format!("address add {four}/30 dev {interface}"))?;
            end.ip(&format!("address add {six}/126 dev {interface} nodad"))?;
            end.ip(&format!("link set {interface} up"))?;
        }
        let pod = Self {
            network,
            addresses: POD.to_vec(),
        };
        Ok((pod, outside))
    }

    /// A pod with this address on a bridge of the network that this thread is in, which is `port`
    /// there. `gateway` is the bridge's own address, and both have the same prefix of 16 bits.
    pub fn bridged(bridge: &str, port: &str, address: Ipv4Addr, gateway: Ipv4Addr) -> Result<Self> {
        let network = Network::make()?;
        let ip = |arguments: String| {
            command::run(Command::new("ip").args(arguments.split(' '))).map(drop)
        };
        ip(format!(
            "link add {port} type veth peer name {INTERFACE} netns {}",
            network.pid()
        ))?;
        ip(format!("link set {port} master {bridge} up"))?;
        network.ip(&format!("address add {address}/16 dev {INTERFACE}"))?;
        network.ip(&format!("link set {INTERFACE} up"))?;
        network.ip(&format!("route add default via {gateway}"))?;
        Ok(Self {
            network,
            addresses: vec![address.into()],
        })
    }

    /// The namespace.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Its IPv4 address, which every pod has.
    pub fn address(&self) -> IpAddr {
        self.addresses[0]
    }
}

// === impl Outside ===

impl Outside {
    /// The name of the cable's end here.
    pub const INTERFACE: &str = "pod";

    /// The namespace.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> &[IpAddr] {
        &OUTSIDE
    }
}
