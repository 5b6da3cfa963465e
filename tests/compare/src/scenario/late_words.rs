use std::io::Write as _;
use std::net::TcpStream;

use super::{Scenario, Seen, hear_all};
use crate::stage::{PATIENCE, Place};
use anyhow::Result;
use ebb_netns::eventually;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "whoever writes to a side that has closed gets the same error",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (mut client, served) = place.pair(&app)?;
    drop(served);
    let mut seen = vec![hear_all(&mut client), write_on(client)?];
    let (client, mut served) = place.pair(&app)?;
    drop(client);
    seen.extend([hear_all(&mut served), write_on(served)?]);
    Ok(seen)
}

/// Writes until that fails.
fn write_on(mut to: TcpStream) -> Result<String> {
    eventually("a write that fails", PATIENCE, || {
        Ok(to
            .write_all(b"x")
            .err()
            .map(|error| error.kind().to_string()))
    })
}
