//! Says on stderr what is going on and how long it took, with or without a terminal.

use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a step that is still going says so.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Does `work` as a named step: a line at its start, one every 30 s, one at its end.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step_with_detail(what, String::new, work)
}

/// As [`step`]; each heartbeat ends in what `detail` says then.
pub fn step_with_detail<T>(
    what: &str,
    detail: impl Fn() -> String + Send,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    tell(format_args!("==> {what}"));
    let start = Instant::now();
    let result = std::thread::scope(|scope| {
        let (finished, ticks) = channel::<()>();
        scope.spawn(move || {
            while ticks.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                tell(format_args!(
                    "    {what}: still going after {:.0?}{}",
                    start.elapsed(),
                    detail()
                ));
            }
        });
        let result = work();
        drop(finished);
        result
    });
    let took = start.elapsed();
    match &result {
        Ok(_) => tell(format_args!(
            "    {what}: done in {:.1} s",
            took.as_secs_f64()
        )),
        Err(_) => tell(format_args!(
            "    {what}: FAILED after {:.1} s",
            took.as_secs_f64()
        )),
    }
    result
}

/// Says one thing.
pub fn say(what: impl std::fmt::Display) {
    tell(format_args!("    {what}"));
}

/// Writes a line to stderr. That nobody reads it any more is no reason to stop the work.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
