use super::{Scenario, Seen, converse, outcome};
use crate::stage::{Place, accept};
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a client comes in while the kernel answers a flood with SYN cookies",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    // The kernel then remembers nothing of a connection until its third packet proves it, which is
    // what it does by itself when too many have begun.
    place.set("net/ipv4/tcp_syncookies", "2")?;
    let connected = place.connect();
    place.set("net/ipv4/tcp_syncookies", "1")?;
    match connected {
        Ok(mut client) => converse(&mut client, &mut accept(&app)?),
        failed => Ok(vec![outcome(&failed)]),
    }
}
