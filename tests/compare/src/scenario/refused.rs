use super::{Scenario, Seen, outcome};
use crate::stage::Place;
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a port that nobody listens on refuses, from the moment at which the app closes it",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let before = outcome(&place.connect());
    let app = place.listen()?;
    let open = outcome(&place.connect());
    drop(app);
    let after = outcome(&place.connect());
    Ok(vec![before, open, after])
}
