use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use super::{Scenario, Seen, whose};
use crate::stage::{PATIENCE, Place, accept};
use anyhow::{Context as _, Result};
use ebb_api::capture::Mode;
use socket2::SockRef;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "clients of an app whose queue is full come in when it accepts, as themselves",
    differs: &[(
        Mode::Redirect,
        "they do; the app sees the pod's own address",
    )],
    play,
};

/// The queue takes one more than it is long.
const QUEUE: usize = 2;

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    SockRef::from(&app).listen(i32::try_from(QUEUE)? - 1)?;
    std::thread::scope(|scope| {
        let (connected, connections) = channel();
        for _ in 0..2 * QUEUE {
            let connected = connected.clone();
            scope.spawn(move || connected.send(place.connect()));
        }
        let next = || Ok::<_, anyhow::Error>(connections.recv_timeout(PATIENCE)??);
        // Nobody is accepted before the queue is full.
        let mut clients = (0..QUEUE).map(|_| next()).collect::<Result<Vec<_>>>()?;
        let mut served = Vec::new();
        for _ in 0..2 * QUEUE {
            served.push(accept(&app)?);
        }
        for _ in QUEUE..2 * QUEUE {
            clients.push(next()?);
        }
        let mut seen = BTreeSet::new();
        for client in &clients {
            let own = client.local_addr()?;
            let its = |peer: std::io::Result<_>| peer.is_ok_and(|peer| peer == own);
            let end = served.iter().find(|served| its(served.peer_addr()));
            let end = end.or(served.first()).context("nobody was served")?;
            seen.insert(whose(end, client, place)?);
        }
        Ok(seen.into_iter().collect())
    })
}
