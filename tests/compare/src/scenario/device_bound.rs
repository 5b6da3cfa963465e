use super::{Scenario, Seen, hear_all, say, whose};
use crate::stage::{Place, accept};
use anyhow::Result;
use ebb_api::capture::Mode;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that is bound to a network device is served",
    differs: &[
        (Mode::Transparent, "it sees the pod's own address"),
        (
            Mode::Redirect,
            "it is not: its port has to be in `capture.excludePorts`",
        ),
    ],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let address = (place.anywhere(), place.port(0)).into();
    let app = place.listen_with(address, |socket| {
        socket.bind_device(Some(b"eth0"))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))
    })?;
    let mut client = place.connect()?;
    let Ok(mut served) = accept(&app) else {
        return Ok(vec![hear_all(&mut client)]);
    };
    say(&mut served, "greeting")?;
    let whose = whose(&served, &client, place)?;
    drop(served);
    Ok(vec![whose, hear_all(&mut client)])
}
