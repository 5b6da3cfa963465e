//! HTTP/2 at full speed, by h2load.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_netns::command;

use crate::programs::Programs;
use crate::topology::{Role, Topology};

/// Connections, and requests that are open at a time on each.
const SHAPE: [&str; 2] = ["--clients=16", "--max-concurrent-streams=16"];

/// Runs it and returns how many requests were answered.
pub fn run(topology: &Topology, programs: &Programs, url: &str, duration: Duration) -> Result<u64> {
    let mut h2load = topology.command(Role::Load, programs.proxies.debian("usr/bin/h2load"));
    h2load
        .env("LD_LIBRARY_PATH", programs.proxies.libraries())
        .args(SHAPE)
        .arg(format!("--duration={}", duration.as_secs()))
        .arg(url);
    let said = command::run(&mut h2load)?;
    parse(&said).with_context(|| format!("h2load said: {}", said.trim()))
}

/// Requests that are open when the time is up are in no number but the first.
fn parse(said: &str) -> Result<u64> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("requests: "))
        .context("it did not say how many requests there were")?;
    let count = |what: &str| -> Result<u64> {
        let found = line
            .split(", ")
            .find_map(|part| part.strip_suffix(what))
            .with_context(|| format!("it did not say how many{what}"))?;
        Ok(found.trim().parse()?)
    };
    let bad = count(" failed")? + count(" errored")? + count(" timeout")?;
    ensure!(bad == 0, "requests failed: {line}");
    count(" succeeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "finished in 1.00s, 51234.00 req/s, 6.60MB/s
requests: 51234 total, 51490 started, 51234 done, 51234 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 51234 2xx, 0 3xx, 0 4xx, 0 5xx
";

    /// The number is that of answered requests, and a failed one is no result.
    #[test]
    fn answered_requests_are_counted() {
        assert_eq!(parse(GOOD).unwrap(), 51234);
        assert!(parse("").is_err());
        let error = parse(&GOOD.replace("0 failed", "3 failed")).unwrap_err();
        assert!(error.to_string().contains("3 failed"), "{error}");
    }
}
