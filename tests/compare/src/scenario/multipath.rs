use super::{Scenario, Seen, converse};
use crate::stage::{PATIENCE, Place, accept, listen, patient};
use anyhow::Result;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "client and app that ask for Multipath TCP, as Go's servers do, are served",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let address = SocketAddr::new(place.anywhere(), place.port(0));
    let app = place.inside(|| listen(multipath(address)?, address))?;
    let mut client = place.outside(|| {
        let to = SocketAddr::new(place.pod(), place.port(0));
        let socket = multipath(to)?;
        socket.connect_timeout(&to.into(), PATIENCE)?;
        let client = socket.into();
        patient(&client)?;
        Ok(client)
    })?;
    converse(&mut client, &mut accept(&app)?)
}

fn multipath(address: SocketAddr) -> Result<Socket> {
    let domain = Domain::for_address(address);
    Ok(Socket::new(domain, Type::STREAM, Some(Protocol::MPTCP))?)
}
