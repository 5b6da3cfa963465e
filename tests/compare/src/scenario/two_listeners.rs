use super::{Scenario, Seen};
use crate::stage::{PATIENCE, Place};
use anyhow::Result;
use ebb_netns::eventually;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "clients are spread over listeners that share a port (SO_REUSEPORT)",
    differs: &[],
    play,
};

const CLIENTS: usize = 200;

fn play(place: &Place<'_>) -> Result<Seen> {
    let address = (place.anywhere(), place.port(0)).into();
    let listen = || place.listen_with(address, |socket| socket.set_reuse_port(true));
    let first = listen()?;
    let (early, served) = place.pair(&first)?;
    let apps = [first, listen()?];
    let clients = (0..CLIENTS).map(|_| place.connect());
    let _clients = clients.collect::<Result<Vec<_>, _>>()?;
    let mut accepted = apps.each_ref().map(|_| 0);
    for app in &apps {
        app.set_nonblocking(true)?;
    }
    eventually("all clients to be accepted", PATIENCE, || {
        for (app, count) in apps.iter().zip(&mut accepted) {
            while app.accept().is_ok() {
                *count += 1;
            }
        }
        Ok((accepted.iter().sum::<usize>() == CLIENTS).then_some(()))
    })?;
    drop((early, served));
    let all = accepted.iter().all(|count| *count > 0);
    Ok(vec![format!("both get some: {all}")])
}
