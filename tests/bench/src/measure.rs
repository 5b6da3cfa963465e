//! What is measured in each case: one turn of one proxy.

mod admin;
mod goodbye;
mod idle;
mod latency;
mod release;
mod traffic;

use std::time::Duration;

use anyhow::Result;

use super::case::{Case, Metric};
use super::load::{h2load, wrk};
use super::programs::Programs;
use super::proxy::{Proxy, Running};
use super::topology::Topology;

/// What a turn needs; the backend runs already.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Where it happens.
    pub topology: &'a Topology,
    /// What is run.
    pub programs: &'a Programs,
    /// The load.
    pub case: Case,
    /// Whose turn it is.
    pub proxy: Proxy,
    /// How long the load lasts, where it is not a fixed amount of work.
    pub duration: Duration,
}

// === impl Turn ===

impl Turn<'_> {
    /// Starts the proxy, puts the load on it, and measures.
    pub fn take(&self) -> Result<Vec<(Metric, f64)>> {
        let fast = |connections| {
            move |url: &str| {
                wrk::run(
                    self.topology,
                    self.programs,
                    url,
                    connections,
                    self.duration,
                )
            }
        };
        match self.case {
            Case::KeepAlive => traffic::requests(self, fast(wrk::Connections::Kept)),
            Case::Fresh => traffic::requests(self, fast(wrk::Connections::Fresh)),
            Case::Http2 => traffic::requests(self, |url| {
                h2load::run(self.topology, self.programs, url, self.duration)
            }),
            Case::Bulk => traffic::bodies(self),
            Case::Latency | Case::LatencyFresh | Case::LatencyHttp2 => latency::measure(self),
            Case::Idle => idle::measure(self),
            Case::Goodbye => goodbye::measure(self),
            Case::Release => release::measure(self),
            Case::Admin => admin::measure(self),
        }
    }

    fn start(&self) -> Result<Running> {
        self.proxy.start(self.topology, self.programs, self.case)
    }
}

/// Of a million bytes.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
