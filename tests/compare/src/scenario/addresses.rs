use super::{Scenario, Seen};
use crate::stage::Place;
use anyhow::Result;
use ebb_api::capture::Mode;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "the app sees its client's own address and port",
    differs: &[(Mode::Redirect, "it sees the pod's own address")],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (client, served) = place.pair(&app)?;
    let (peer, own) = (served.peer_addr()?, client.local_addr()?);
    let whose = if peer == own {
        "its client's"
    } else if peer.ip() == place.pod() {
        "the pod's"
    } else {
        "another's"
    };
    Ok(vec![
        format!("the app's peer is {whose}"),
        format!(
            "the client's peer is the pod: {}",
            client.peer_addr()?.ip() == place.pod()
        ),
    ])
}
