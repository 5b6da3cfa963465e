use super::{Scenario, Seen, outcome};
use crate::stage::Place;
use anyhow::Result;
use socket2::SockRef;
use std::net::Shutdown;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a port that nobody listens on refuses, from the moment at which the app closes it",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let before = outcome(&place.connect());
    let app = place.listen()?;
    let open = outcome(&place.connect());
    // Closed for good, even if a process that another test starts holds it for a moment, too.
    SockRef::from(&app).shutdown(Shutdown::Both)?;
    drop(app);
    let after = outcome(&place.connect());
    Ok(vec![before, open, after])
}
