use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{Scenario, Seen, converse};
use crate::stage::{PATIENCE, Place, accept};
use anyhow::{Context as _, Result};
use ebb_api::capture::Mode;
use ebb_netns::eventually;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a client on the same link is served by link-local addresses",
    differs: &[(Mode::Redirect, "the app sees the pod's own address")],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let to = match place.pod() {
        // IPv4 has such addresses only where there are no others.
        four @ IpAddr::V4(_) => SocketAddr::new(four, place.port(0)),
        IpAddr::V6(_) => {
            // The kernel uses neither before it has asked whether somebody else has it.
            eventually("link-local addresses", PATIENCE, || {
                let outside = place.ip_outside("-6 address show scope link tentative")?;
                let inside = place.ip("-6 address show scope link tentative")?;
                Ok((outside + &inside).is_empty().then_some(()))
            })?;
            let shown = place.ip("-6 address show dev eth0 scope link")?;
            SocketAddrV6::new(link_local(&shown)?, place.port(0), 0, place.cable()?).into()
        }
    };
    let app = place.listen()?;
    let mut client = place.connect_to(to)?;
    let mut served = accept(&app)?;
    let (peer, own) = (served.peer_addr()?, client.local_addr()?);
    let mut seen = converse(&mut client, &mut served)?;
    let is_known = (peer.ip(), peer.port()) == (own.ip(), own.port());
    let is_local = matches!(peer.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    seen.push(format!(
        "the app sees a link-local address: {is_local}, its client's: {is_known}"
    ));
    Ok(seen)
}

/// The address in what `ip address show` prints.
fn link_local(shown: &str) -> Result<Ipv6Addr> {
    let mut words = shown.split_whitespace();
    words.find(|word| *word == "inet6");
    let address = words.next().context("eth0 has no link-local address")?;
    let (address, _) = address.split_once('/').context("it has no prefix")?;
    Ok(address.parse()?)
}
