use std::net::{SocketAddr, UdpSocket};

use super::{Scenario, Seen};
use crate::stage::{PATIENCE, Place};
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "datagrams (UDP) at the app's port arrive both ways, and are refused at others",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let _app = place.listen()?;
    let own = SocketAddr::new(place.anywhere(), place.port(0));
    let app = place.inside(|| open(own))?;
    let client = place.outside(|| open((place.anywhere(), 0).into()))?;
    client.connect((place.pod(), place.port(0)))?;
    let mut heard = [0; 16];
    client.send(b"question")?;
    let (length, peer) = app.recv_from(&mut heard)?;
    let mut seen = vec![format!("the app has heard {length} bytes")];
    let is_the_client = peer == SocketAddr::new(place.client(), client.local_addr()?.port());
    seen.push(format!("its peer is its client: {is_the_client}"));
    app.send_to(b"answer", peer)?;
    seen.push(format!(
        "the client has heard {} bytes",
        client.recv(&mut heard)?
    ));
    client.connect((place.pod(), place.port(1)))?;
    client.send(b"question")?;
    let refused = client.recv(&mut heard);
    seen.push(refused.map_or_else(|error| error.kind().to_string(), |_| "heard".to_owned()));
    Ok(seen)
}

fn open(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}
