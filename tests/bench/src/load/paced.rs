//! Requests at a rate so low that none waits for another.

use std::time::{Duration, Instant};

use anyhow::Result;

/// One is sent each millisecond.
const PACE: Duration = Duration::from_millis(1);

/// Makes one request and waits for the whole answer.
pub type Request = Box<dyn FnMut() -> Result<()>>;

/// Makes requests in turn; returns how long each took. The first of each, which may have to wait
/// for what is set up but once, does not count.
pub fn at_a_low_rate(mut requests: Vec<Request>, duration: Duration) -> Result<Vec<Duration>> {
    for request in &mut requests {
        request()?;
    }
    let mut took = Vec::new();
    let start = Instant::now();
    let mut next = start;
    while start.elapsed() < duration {
        for request in &mut requests {
            next += PACE;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let began = Instant::now();
            request()?;
            took.push(began.elapsed());
        }
    }
    Ok(took)
}
