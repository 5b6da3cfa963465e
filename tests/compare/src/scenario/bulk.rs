use super::{Scenario, Seen};
use crate::stage::Place;
use anyhow::{Result, anyhow};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "32 MiB in each direction at once arrive as they were sent",
    differs: &[],
    play,
};

const LENGTH: usize = 32 << 20;

/// What is sent again and again. It is as long as no power of two is, so that nothing that is lost
/// or comes twice fits.
const PIECE: usize = 65_521;

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (client, served) = place.pair(&app)?;
    let [to_app, to_client] = [1, 2].map(piece);
    std::thread::scope(|scope| {
        let work = [
            scope.spawn(|| send(&client, &to_app)),
            scope.spawn(|| send(&served, &to_client)),
            scope.spawn(|| receive(&client, &to_client)),
            scope.spawn(|| receive(&served, &to_app)),
        ];
        let all = work.map(|thread| thread.join().map_err(|_| anyhow!("a side panicked"))?);
        all.into_iter().collect()
    })
}

fn piece(seed: usize) -> Vec<u8> {
    let bytes = (0..PIECE).map(|place| (place * place * seed + place / 251) as u8);
    bytes.collect()
}

fn send(mut to: &TcpStream, piece: &[u8]) -> Result<String> {
    let mut left = LENGTH;
    while left > 0 {
        let length = left.min(PIECE);
        to.write_all(&piece[..length])?;
        left -= length;
    }
    to.shutdown(Shutdown::Write)?;
    Ok("sent".to_owned())
}

fn receive(mut from: &TcpStream, piece: &[u8]) -> Result<String> {
    let mut heard = vec![0; PIECE];
    let mut length = 0;
    loop {
        // As much as is left of this round of the piece.
        let expected = &piece[length % PIECE..];
        let read = from.read(&mut heard[..expected.len()])?;
        if read == 0 {
            return Ok(format!("{length} bytes"));
        }
        if heard[..read] != expected[..read] {
            return Ok(format!("another byte after {length}"));
        }
        length += read;
    }
}
