use std::collections::BTreeMap;
use std::time::Duration;

use super::{Scenario, Seen, hear_all};
use crate::stage::{Place, accept};
use anyhow::Result;
use socket2::SockRef;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a client that connects and resets at once, as a probe does, is seen as that",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let address = (place.anywhere(), place.port(0)).into();
    let app = place.listen_with(address, |socket| {
        socket.set_read_timeout(Some(Duration::from_secs(1)))
    })?;
    let mut seen = BTreeMap::new();
    for _ in 0..20 {
        let client = place.connect()?;
        SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
        drop(client);
        let heard = match accept(&app) {
            Ok(mut served) => hear_all(&mut served),
            Err(_) => "the app has accepted nothing".to_owned(),
        };
        *seen.entry(heard).or_insert(0) += 1;
    }
    Ok(seen
        .into_iter()
        .map(|(heard, number)| format!("{number} x {heard}"))
        .collect())
}
