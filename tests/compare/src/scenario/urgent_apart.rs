use std::mem::MaybeUninit;
use std::net::Shutdown;

use super::{Scenario, Seen, hear, hear_all, say};
use crate::stage::Place;
use anyhow::Result;
use ebb_api::capture::Mode;
use socket2::SockRef;

const IN_LINE: &str = "it stands among the others, and none is apart";

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an urgent byte can be had apart, where the app does not take it in line",
    differs: &[(Mode::Transparent, IN_LINE), (Mode::Redirect, IN_LINE)],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, mut served) = place.pair(&app)?;
    say(&mut client, "a")?;
    SockRef::from(&client).send_out_of_band(b"X")?;
    say(&mut client, "b")?;
    client.shutdown(Shutdown::Write)?;
    let heard = hear(&mut served, "a")?;
    // Then all that comes before it has arrived.
    served.peek(&mut [0])?;
    let apart = SockRef::from(&served).recv_out_of_band(&mut [MaybeUninit::uninit()]);
    let apart = apart.map_or_else(
        |error| error.kind().to_string(),
        |length| format!("{length} byte apart"),
    );
    Ok(vec![heard, apart, hear_all(&mut served)])
}
