use super::{Scenario, Seen, whose};
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
    Ok(vec![
        whose(&served, &client, place)?,
        format!(
            "the client's peer is the pod: {}",
            client.peer_addr()?.ip() == place.pod()
        ),
    ])
}
