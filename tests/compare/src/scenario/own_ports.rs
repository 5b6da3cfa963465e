use std::net::{SocketAddr, TcpStream};

use super::{Scenario, Seen, outcome};
use crate::stage::{PATIENCE, Place, accept, listen};
use anyhow::Result;
use ebb_api::capture::Mode;
use socket2::{Domain, Socket, Type};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a number that is a client's port can be the port of a connection of the app's own, too",
    differs: &[(
        Mode::Transparent,
        "not while the client's connection lasts, nor for a minute after",
    )],
    play,
};

/// The kernel's setting for either family, and what it is by itself.
const RANGE: (&str, &str) = ("net/ipv4/ip_local_port_range", "32768\t60999");

/// None that the kernel gives to other clients by itself.
const FIRST: u16 = 61_000;
const PORTS: u16 = 16;

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let to = SocketAddr::new(place.client(), place.port(1));
    let other = place.outside(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        listen(socket, to)
    })?;
    let mut clients = Vec::new();
    for port in FIRST..FIRST + PORTS {
        let client = place.outside(|| {
            let from = SocketAddr::new(place.client(), port);
            let socket = Socket::new(Domain::for_address(from), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&from.into())?;
            let pod = SocketAddr::new(place.pod(), place.port(0));
            socket.connect_timeout(&pod.into(), PATIENCE)?;
            Ok(TcpStream::from(socket))
        })?;
        clients.push((client, accept(&app)?));
    }
    // No other ports are to be had.
    place.set(RANGE.0, &format!("{FIRST} {}", FIRST + PORTS - 1))?;
    let own = place.connect_inside(to);
    place.set(RANGE.0, RANGE.1)?;
    drop(other);
    Ok(vec![outcome(&own)])
}
