use super::{Scenario, Seen, hear, reset, say};
use crate::stage::Place;
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a reset by the app reaches the client as a reset",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, mut served) = place.pair(&app)?;
    say(&mut client, "question")?;
    let question = hear(&mut served, "question")?;
    Ok(vec![question, reset(served, &mut client)?])
}
