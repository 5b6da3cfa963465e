use super::{Scenario, Seen, hear_all, say};
use crate::stage::Place;
use anyhow::Result;
use socket2::SockRef;
use std::net::Shutdown;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an urgent byte arrives in its place, where the app takes it in line",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, mut served) = place.pair(&app)?;
    SockRef::from(&served).set_out_of_band_inline(true)?;
    say(&mut client, "a")?;
    SockRef::from(&client).send_out_of_band(b"X")?;
    say(&mut client, "b")?;
    client.shutdown(Shutdown::Write)?;
    Ok(vec![hear_all(&mut served)])
}
