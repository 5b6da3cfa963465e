use super::{Scenario, Seen, hear_all, say};
use crate::stage::Place;
use anyhow::Result;
use std::net::Shutdown;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that has said all it has to say still hears its client",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, mut served) = place.pair(&app)?;
    say(&mut served, "greeting")?;
    served.shutdown(Shutdown::Write)?;
    let greeting = hear_all(&mut client);
    say(&mut client, "question")?;
    drop(client);
    Ok(vec![greeting, hear_all(&mut served)])
}
