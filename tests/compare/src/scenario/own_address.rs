use super::{Scenario, Seen, converse, whose};
use crate::stage::Place;
use anyhow::Result;
use ebb_api::capture::Mode;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that listens on the pod's own address alone is served",
    differs: &[
        (Mode::Transparent, "it sees the pod's own address"),
        (Mode::Redirect, "it sees the pod's own address"),
    ],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen_with((place.pod(), place.port(0)).into(), |_| Ok(()))?;
    let (mut client, mut served) = place.pair(&app)?;
    let mut seen = converse(&mut client, &mut served)?;
    seen.push(whose(&served, &client, place)?);
    Ok(seen)
}
