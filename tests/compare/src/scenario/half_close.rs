use super::{Scenario, Seen, hear_all, say};
use crate::stage::Place;
use anyhow::Result;
use std::net::Shutdown;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a client that has said all it has to say still gets its answer",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, mut served) = place.pair(&app)?;
    say(&mut client, "question")?;
    client.shutdown(Shutdown::Write)?;
    let question = hear_all(&mut served);
    say(&mut served, "answer")?;
    drop(served);
    Ok(vec![question, hear_all(&mut client)])
}
