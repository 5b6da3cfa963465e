use super::{Scenario, Seen, outcome};
use crate::stage::Place;
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a port that is open on loopback alone is not open to others",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let _app = place.listen_with((place.loopback(), place.port(0)).into(), |_| Ok(()))?;
    let inside = place.connect_inside((place.loopback(), place.port(0)).into());
    Ok(vec![outcome(&place.connect()), outcome(&inside)])
}
