use super::{Scenario, Seen, converse};
use crate::stage::Place;
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that listens on the pod's own address alone is served",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen_with((place.pod(), place.port(0)).into(), |_| Ok(()))?;
    let (mut client, mut served) = place.pair(&app)?;
    converse(&mut client, &mut served)
}
