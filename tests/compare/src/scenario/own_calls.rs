use std::net::{SocketAddr, TcpStream};

use super::{Scenario, Seen, converse};
use crate::stage::{PATIENCE, Place, accept, listen, patient};
use anyhow::Result;
use socket2::{Domain, Socket, Type};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "the app's own connections to others work, from a port that it listens on, too",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let to = SocketAddr::new(place.client(), place.port(1));
    let other = place.outside(|| listen(stream(to)?, to))?;
    let address = (place.anywhere(), place.port(0)).into();
    let app = place.listen_with(address, |socket| socket.set_reuse_port(true))?;
    let mut seen = Vec::new();
    for port in [0, place.port(0)] {
        let mut own = place.inside(|| connect_from((place.pod(), port).into(), to))?;
        let mut answering = accept(&other)?;
        let is_the_pod = answering.peer_addr()? == own.local_addr()?;
        seen.push(format!("the other's peer is the app: {is_the_pod}"));
        seen.extend(converse(&mut own, &mut answering)?);
        let (mut client, mut served) = place.pair(&app)?;
        seen.extend(converse(&mut client, &mut served)?);
    }
    Ok(seen)
}

fn stream(to: SocketAddr) -> Result<Socket> {
    Ok(Socket::new(Domain::for_address(to), Type::STREAM, None)?)
}

/// Connects from this port, whoever else has it.
fn connect_from(source: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = stream(to)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&source.into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    let own = socket.into();
    patient(&own)?;
    Ok(own)
}
