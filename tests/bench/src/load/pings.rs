//! One connection on which a word goes back and forth all the time: what it waits for beyond the
//! usual is what the proxy does for others meanwhile.
//!
//! Its bytes are no protocol that a proxy knows, so nobody tells it to leave during a drain. Its
//! threads go before all others of this CPU, so that the work of the other clients hardly counts.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// A word is due each millisecond.
const PACE: Duration = Duration::from_millis(1);

/// A word. Its first byte begins no line of text and no TLS.
const WORD: [u8; 16] = *b"\0word for word\r\n";

/// Of the nice values, the one that comes first.
const FIRST: i32 = -20;

/// One word's way there and back.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    /// When it was to be sent.
    pub due: Instant,
    /// From then until it was back.
    pub took: Duration,
}

// === impl Ping ===

impl Ping {
    /// Whether it was under way at some time from `first` to `last`.
    pub fn overlaps(&self, first: Instant, last: Instant) -> bool {
        self.due <= last && self.due + self.took >= first
    }
}

/// Sends back what the client says, until it leaves.
pub fn echo(mut stream: TcpStream) -> Result<()> {
    go_first()?;
    stream.set_nodelay(true)?;
    let mut word = WORD;
    loop {
        match stream.read_exact(&mut word) {
            Ok(()) => stream.write_all(&word)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Pings until it is told to stop, then leaves.
pub fn ping(mut stream: TcpStream, stop: &AtomicBool) -> Result<Vec<Ping>> {
    go_first()?;
    let mut word = WORD;
    let mut pings = Vec::new();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        // What comes after a long one is not late because of it.
        due = (due + PACE).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&word)?;
        stream.read_exact(&mut word)?;
        pings.push(Ping {
            due,
            took: due.elapsed(),
        });
    }
    Ok(pings)
}

/// Lets this thread go before the others of its CPU.
///
/// # Errors
///
/// The kernel does not permit it.
pub fn go_first() -> Result<()> {
    // On Linux a nice value belongs to a thread (sched(7)).
    let own = Some(rustix::thread::gettid());
    rustix::process::setpriority_process(own, FIRST).context("can't raise a thread's priority")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ping counts for what happens while it is under way, and not before it is due.
    #[test]
    fn a_ping_overlaps_what_happens_on_its_way() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let ping = Ping {
            due: at(10),
            took: Duration::from_millis(5),
        };
        assert!(ping.overlaps(at(0), at(10)));
        assert!(ping.overlaps(at(12), at(13)));
        assert!(ping.overlaps(at(15), at(20)));
        assert!(!ping.overlaps(at(0), at(9)));
        assert!(!ping.overlaps(at(16), at(20)));
    }
}
