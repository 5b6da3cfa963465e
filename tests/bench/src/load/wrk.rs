//! HTTP/1 at full speed, by wrk.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;

use crate::programs::Programs;
use crate::topology::{Role, Topology};

/// What becomes of a connection after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// It carries the next request.
    Kept,
    /// It ends, and the next request makes a new one.
    Fresh,
}

/// How many connections there are at any time.
const CONNECTIONS: u32 = 64;

/// Runs it and returns how many requests were answered.
pub fn run(
    topology: &Topology,
    programs: &Programs,
    url: &str,
    connections: Connections,
    duration: Duration,
) -> Result<u64> {
    let mut wrk = topology.command(Role::Load, programs.proxies.debian("usr/bin/wrk"));
    wrk.env("LD_LIBRARY_PATH", programs.proxies.libraries())
        .args(["--threads", "1", "--timeout", "10s"])
        .arg(format!("--connections={CONNECTIONS}"))
        .arg(format!("--duration={}s", duration.as_secs()));
    if connections == Connections::Fresh {
        wrk.args(["--header", "Connection: close"]);
    }
    let said = command::run(wrk.arg(url))?;
    parse(&said).with_context(|| format!("wrk said: {}", said.trim()))
}

fn parse(said: &str) -> Result<u64> {
    for failure in ["Socket errors:", "Non-2xx"] {
        if let Some(line) = said.lines().find(|line| line.contains(failure)) {
            bail!("requests failed: {}", line.trim());
        }
    }
    let count = said.lines().find_map(|line| {
        let (count, _) = line.trim().split_once(" requests in ")?;
        count.parse().ok()
    });
    count.context("it did not say how many requests there were")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Running 1s test @ http://198.18.64.2:9080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.32ms  200.00us   4.00ms   80.00%
    Req/Sec    48.10k     1.00k   50.00k    70.00%
  48213 requests in 1.00s, 12.41MB read
Requests/sec:  48190.12
Transfer/sec:     12.40MB
";

    /// The number is that of all requests, not a rate.
    #[test]
    fn requests_are_counted() {
        assert_eq!(parse(GOOD).unwrap(), 48213);
        assert!(parse("").is_err());
    }

    /// A proxy that answers errors quickly must not look fast.
    #[test]
    fn failures_are_no_result() {
        for failure in [
            "  Socket errors: connect 0, read 12, write 0, timeout 0\n",
            "  Non-2xx or 3xx responses: 48213\n",
        ] {
            let error = parse(&format!("{GOOD}{failure}")).unwrap_err().to_string();
            assert!(error.contains(failure.trim()), "{error}");
        }
    }
}
