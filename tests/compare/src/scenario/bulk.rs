use super::{Scenario, Seen};
use crate::stage::Place;
use anyhow::{Result, anyhow};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

pub(super) const SCENARIO: Scenario = Scenario {
    title: "32 MiB in each direction at once arrive as they were sent",
    differs: &[],
    play,
};

const PIECES: usize = 512;

fn play(place: &Place<'_>) -> Result<Seen> {
    let app = place.listen()?;
    let (client, served) = place.pair(&app)?;
    std::thread::scope(|scope| {
        let work = [
            scope.spawn(|| send(&client, 1)),
            scope.spawn(|| send(&served, 2)),
            scope.spawn(|| receive(&client)),
            scope.spawn(|| receive(&served)),
        ];
        let all = work.map(|thread| thread.join().map_err(|_| anyhow!("a side panicked"))?);
        all.into_iter().collect()
    })
}

fn send(mut to: &TcpStream, seed: usize) -> Result<String> {
    let mut piece = vec![0; 64 * 1024];
    for number in 0..PIECES {
        for (place, byte) in piece.iter_mut().enumerate() {
            *byte = (place * seed + number) as u8;
        }
        to.write_all(&piece)?;
    }
    to.shutdown(Shutdown::Write)?;
    Ok("sent".to_owned())
}

fn receive(mut from: &TcpStream) -> Result<String> {
    let (mut hash, mut piece) = (DefaultHasher::new(), vec![0; 64 * 1024]);
    let mut length = 0;
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(format!("{length} bytes, {:016x}", hash.finish()));
        }
        length += read;
        for byte in &piece[..read] {
            hash.write_u8(*byte);
        }
    }
}
