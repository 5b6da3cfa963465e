use super::{Scenario, Seen, hear, hear_all, say};
use crate::stage::Place;
use anyhow::Result;
use socket2::SockRef;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a reset by the client reaches the app as a reset",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, mut served) = place.pair(&app)?;
    say(&mut client, "question")?;
    let question = hear(&mut served, "question")?;
    SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
    drop(client);
    Ok(vec![question, hear_all(&mut served)])
}
