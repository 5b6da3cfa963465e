//! The benchmark of the relay: Ebb and other proxies, in turn before the same backend.
//!
//! ```text
//!  CPU 2: load, in a network of its own --veth-- CPU 1: one proxy --lo-- CPU 2: backend
//! ```
//!
//! Each measurement gets new networks, a new backend and a new proxy, so that nothing of the one
//! before (connections in TIME_WAIT, grown buffers, packet filter rules) counts in the next. The
//! proxies take turns within a round, so that what slows the computer down for a minute slows all
//! of them. What is compared is CPU time as the kernel accounts it to the proxy's process, which a
//! slow load generator does not change much; throughput is shown, and is bounded by both CPUs.
//!
//! Everything runs below one process that is the first of its own process namespace: when that
//! ends, however it ends, the kernel ends the rest and takes the networks away.

pub mod accounting;
pub mod backend;
pub mod case;
pub mod isolate;
pub mod load;
pub mod measure;
pub mod programs;
pub mod proxy;
pub mod report;
pub mod statistics;
pub mod topology;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_bed::progress::say;
use serde::{Deserialize, Serialize};

use case::Case;
use measure::Turn;
use programs::Programs;
use proxy::Proxy;
use statistics::Measurements;
use topology::Topology;

/// What to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Where the programs are.
    pub programs: Programs,
    /// A folder for configurations and logs; its content goes.
    pub scratch: PathBuf,
    /// What to ask of the proxies.
    pub cases: Vec<Case>,
    /// Which proxies take part.
    pub proxies: Vec<Proxy>,
    /// How many times each proxy has its turn.
    pub rounds: u32,
    /// How long the load of one turn lasts.
    pub seconds: u32,
}

// === impl Plan ===

impl Plan {
    /// Measures all of it. Runs inside [`isolate`]. What can't be measured is left out, and is said
    /// in the second value: a proxy that fails must not cost the results of an hour.
    pub fn run(&self) -> (Measurements, Vec<anyhow::Error>) {
        let mut all = Measurements::default();
        let mut failures = Vec::new();
        for case in &self.cases {
            for round in 1..=self.rounds {
                for proxy in case.participants(&self.proxies) {
                    say(format!("{case}, round {round} of {}: {proxy}", self.rounds));
                    let measured = self.measure(*case, proxy);
                    match measured.with_context(|| format!("{case} through {proxy}")) {
                        Ok(measured) => {
                            for (metric, value) in measured {
                                all.add(*case, proxy, metric, value);
                            }
                        }
                        Err(error) => {
                            say(format!("failed: {error:#}"));
                            failures.push(error);
                        }
                    }
                }
            }
        }
        (all, failures)
    }

    fn measure(&self, case: Case, proxy: Proxy) -> Result<Vec<(case::Metric, f64)>> {
        let topology = Topology::make(&self.scratch)?;
        let _backend = backend::start(&topology, &self.programs)?;
        let turn = Turn {
            topology: &topology,
            programs: &self.programs,
            case,
            proxy,
            duration: Duration::from_secs(self.seconds.into()),
        };
        turn.take()
    }
}
