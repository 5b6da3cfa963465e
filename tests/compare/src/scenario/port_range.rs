use super::{Scenario, Seen};
use crate::stage::{Place, accept};
use anyhow::Result;
use std::collections::BTreeSet;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that listens on many ports knows at which each client came",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let mut apps = Vec::new();
    for number in 0..10 {
        let address = (place.anywhere(), place.port(number)).into();
        apps.push(place.listen_with(address, |_| Ok(()))?);
    }
    let mut seen = BTreeSet::new();
    for (number, app) in (0..10).zip(&apps) {
        let _client = place.connect_to((place.pod(), place.port(number)).into())?;
        let served = accept(app)?;
        seen.insert(served.local_addr()?.port() - place.port(0));
    }
    Ok(vec![format!("{seen:?}")])
}
