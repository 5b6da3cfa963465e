use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};

use super::{Scenario, Seen};
use crate::stage::{PATIENCE, Place};
use anyhow::Result;
use socket2::{Domain, Protocol, Socket, Type};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "the pod answers a ping and gets answers to its own",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let (pod, client) = (place.pod(), place.client());
    Ok(vec![
        place.outside(|| ping(pod))?,
        place.inside(|| ping(client))?,
    ])
}

/// An echo request of eight bytes without data, and what answers it (RFC 792, RFC 4443).
fn ping(to: IpAddr) -> Result<String> {
    // Groups that may use such sockets, which need no privilege otherwise: all.
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
    let to = SocketAddr::new(to, 0);
    let (protocol, request) = match to {
        SocketAddr::V4(_) => (Protocol::ICMPV4, 8),
        SocketAddr::V6(_) => (Protocol::ICMPV6, 128),
    };
    let mut socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(protocol))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&to.into())?;
    // The kernel fills in the rest.
    socket.write_all(&[request, 0, 0, 0, 0, 0, 0, 1])?;
    let mut answer = [0; 8];
    socket.read_exact(&mut answer)?;
    Ok(format!("an answer of type {}", answer[0]))
}
