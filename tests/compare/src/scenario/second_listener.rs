use std::net::SocketAddr;

use super::{Scenario, Seen, outcome};
use crate::stage::Place;
use anyhow::Result;
use ebb_api::capture::Mode;
use socket2::{Domain, Socket, Type};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a second listener shares the port while a client is connected, by SO_REUSEPORT alone",
    differs: &[(
        Mode::Transparent,
        "its port is in use, unless both set SO_REUSEADDR, too, as most servers do",
    )],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let address = SocketAddr::new(place.anywhere(), place.port(0));
    let app = place.listen_with(address, |socket| socket.set_reuse_port(true))?;
    drop(place.pair(&app)?);
    let _connected = place.pair(&app)?;
    let mut seen = Vec::new();
    for ip in [place.anywhere(), place.pod()] {
        let address = SocketAddr::new(ip, place.port(0));
        let bound = place.inside(|| {
            let second = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            second.set_reuse_port(true)?;
            Ok(second.bind(&address.into()))
        })?;
        seen.push(outcome(&bound));
    }
    Ok(seen)
}
