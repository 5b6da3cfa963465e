use super::{Scenario, Seen, hear_all, say};
use crate::stage::{Place, accept};
use anyhow::Result;
use ebb_api::capture::Mode;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an app that is bound to a network device is served",
    differs: &[(
        Mode::Redirect,
        "it is not: its port has to be in `capture.excludePorts`",
    )],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let address = (place.anywhere(), place.port(0)).into();
    let app = place.listen_with(address, |socket| {
        socket.bind_device(Some(b"eth0"))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))
    })?;
    let mut client = place.connect()?;
    let served = accept(&app);
    if let Ok(mut served) = served {
        say(&mut served, "greeting")?;
    }
    Ok(vec![hear_all(&mut client)])
}
