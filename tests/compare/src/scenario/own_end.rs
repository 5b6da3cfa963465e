use super::{Scenario, Seen};
use crate::stage::Place;
use anyhow::Result;
use ebb_api::capture::Mode;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "the app sees the address that its client connected to",
    differs: &[(
        Mode::Transparent,
        "it sees an alias: between the client's address and the pod's there is one connection \
         already",
    )],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (_client, served) = place.pair(&app)?;
    let own = served.local_addr()?;
    Ok(vec![
        format!(
            "the app's own address is the pod's: {}",
            own.ip() == place.pod()
        ),
        format!("the port is its own: {}", own.port() == place.port(0)),
    ])
}
