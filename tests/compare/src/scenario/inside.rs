use super::{Scenario, Seen};
use crate::stage::{Place, accept};
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a pod's calls to itself come from itself",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let mut seen = Vec::new();
    for address in [place.pod(), place.loopback()] {
        let caller = place.connect_inside((address, place.port(0)).into())?;
        let served = accept(&app)?;
        let is_its_own = served.peer_addr()? == caller.local_addr()?;
        seen.push(format!("the peer is the caller: {is_its_own}"));
        let is_dialed = served.local_addr()?.ip() == address;
        seen.push(format!("at the address that it called: {is_dialed}"));
    }
    Ok(seen)
}
