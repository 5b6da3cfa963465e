use super::{Scenario, Seen};
use crate::stage::Place;
use anyhow::Result;
use std::io::{Read as _, Write as _};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "an answer before the end of its request arrives, while the client goes on sending",
    differs: &[],
    play,
};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let mut answered = 0;
    for _ in 0..50 {
        let (mut client, mut served) = place.pair(&app)?;
        client.write_all(HEAD)?;
        client.write_all(&[b'x'; 10_000])?;
        served.read_exact(&mut [0; HEAD.len()])?;
        served.write_all(ANSWER)?;
        client.write_all(&[b'x'; 10_000])?;
        let mut heard = vec![0; ANSWER.len()];
        client.read_exact(&mut heard)?;
        answered += u32::from(heard == ANSWER);
    }
    Ok(vec![format!("{answered} of 50 answers")])
}
