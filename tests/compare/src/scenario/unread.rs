use super::{Scenario, Seen, hear_all, say};
use crate::stage::Place;
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that closes over what it has not read resets, and its answer still arrives",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let mut seen = Vec::new();
    for answer in ["", "answer"] {
        let (mut client, mut served) = place.pair(&app)?;
        say(&mut client, "question")?;
        served.peek(&mut [0])?;
        say(&mut served, answer)?;
        drop(served);
        seen.push(hear_all(&mut client));
    }
    Ok(seen)
}
