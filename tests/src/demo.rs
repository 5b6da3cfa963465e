//! The demo: the same web application under the same load, rolled in three set-ups, and what a user
//! sees of a drain.

pub mod setup;
pub mod show;
pub mod table;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use tokio::runtime::Runtime;

use crate::bed::Bed;
use crate::bed::progress::{say, step};
use crate::harness::cluster::Cluster;
use crate::harness::inside::{MACHINE, spawn_inside};
use crate::harness::installation;
use setup::Setup;
use table::Row;

/// Rolls a web application under load on a real two-node Kubernetes on this computer: as it is, with
/// `preStop: sleep 5`, and with a DrainPolicy. Needs Linux, root, Rust and Go; installs nothing. The
/// first run takes up to 20 minutes, since it builds Kubernetes; a later one at most 4.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
pub struct Options {
    /// Writes the table as JSON to this file.
    #[arg(long)]
    pub report: Option<PathBuf>,
}

/// How often each set-up is rolled.
const ROLLS: usize = 3;

/// Runs the demo on a bed that is up and has our images.
pub fn run(bed: &Bed, options: Options) -> Result<()> {
    let on_bed = bed.clone();
    let thread = spawn_inside(bed, MACHINE, move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        run_inside(&runtime, on_bed, &options)
    })?;
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the demo panicked"))?
}

fn run_inside(runtime: &Runtime, bed: Bed, options: &Options) -> Result<()> {
    let cluster = runtime.block_on(Cluster::attach(bed))?;
    step("helm upgrade --install ebb charts/ebb", || {
        runtime.block_on(installation::install(&cluster))
    })?;
    let mut rows = Vec::new();
    for setup in Setup::ALL {
        let what = format!("{}: {ROLLS} rolling restarts under load", setup.title());
        let tally = step(&what, || {
            runtime.block_on(setup.measure(&cluster, ROLLS, |roll, progress| {
                say(format!(
                    "roll {roll} of {ROLLS} done: {} requests so far, {} failed",
                    table::grouped(progress.requests),
                    table::grouped(progress.failed)
                ));
            }))
        })?;
        rows.push(Row {
            setup,
            summary: tally.summary(),
        });
    }
    if let Some(path) = &options.report {
        let json = serde_json::to_vec_pretty(&rows)?;
        std::fs::write(path, json).with_context(|| format!("can't write {}", path.display()))?;
    }
    let drain = step("a drain, as kubectl describe shows it", || {
        runtime.block_on(show::watch_a_drain(&cluster))
    })?;
    show::print(&rows, &drain)
}
