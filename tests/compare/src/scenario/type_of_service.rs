use std::io::Read as _;
use std::net::IpAddr;

use super::{Scenario, Seen, hear, say};
use crate::stage::{PATIENCE, Place};
use anyhow::Result;
use ebb_api::capture::Mode;
use ebb_netns::eventually;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

const LOST: &str = "they have none: the relay's are not marked";

pub(super) const SCENARIO: Scenario = Scenario {
    title: "packets to the client bear the type of service (DSCP) that the app sets",
    differs: &[(Mode::Transparent, LOST), (Mode::Redirect, LOST)],
    play,
};

/// Expedited forwarding (RFC 3246), as the whole byte.
const EXPEDITED: u32 = 46 << 2;

/// `ETH_P_ALL` of the kernel's `linux/if_ether.h`: packets of every protocol.
const EVERY_PROTOCOL: u16 = 3;

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    // Hears all packets outside of the pod, from their IP header on.
    let mut wire = place.outside(|| {
        let protocol = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
        let wire = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        wire.set_read_timeout(Some(PATIENCE))?;
        Ok(wire)
    })?;
    let (mut client, mut served) = place.pair(&app)?;
    let socket = SockRef::from(&served);
    match place.pod() {
        IpAddr::V4(_) => socket.set_tos_v4(EXPEDITED)?,
        IpAddr::V6(_) => socket.set_tclass_v6(EXPEDITED)?,
    }
    say(&mut served, "answer")?;
    hear(&mut client, "answer")?;
    let mut packet = [0; 2048];
    let service = eventually("the answer on the wire", PATIENCE, || {
        let length = wire.read(&mut packet)?;
        let packet = &packet[..length];
        let is_answer = packet.windows(6).any(|bytes| bytes == b"answer");
        Ok(is_answer.then(|| service(packet)))
    })?;
    Ok(vec![format!("type of service {service}")])
}

/// The field of an IPv4 header (RFC 791) or of an IPv6 header (RFC 8200).
fn service(packet: &[u8]) -> u8 {
    match packet[0] >> 4 {
        4 => packet[1],
        _ => packet[0] << 4 | packet[1] >> 4,
    }
}
