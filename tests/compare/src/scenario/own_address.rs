use super::{Scenario, Seen, hear, say};
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
    say(&mut client, "question")?;
    let question = hear(&mut served, "question")?;
    say(&mut served, "answer")?;
    Ok(vec![question, hear(&mut client, "answer")?])
}
