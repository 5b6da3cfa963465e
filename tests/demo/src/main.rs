//! The demo: the same web application under the same load, rolled in three set-ups, and what a user
//! sees of a drain.

mod show;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use ebb_api::capture::Mode;
use ebb_bed::progress::{say, step};
use ebb_bed::{Bed, exit};
use ebb_cluster::cluster::Cluster;
use ebb_cluster::inside::{MACHINE, spawn_inside};
use ebb_cluster::installation;
use ebb_cluster::setup::{Comparison, Setup};
use tokio::runtime::Runtime;

use table::Row;

/// Rolls a web application under load on the cluster, which is up and has our images: as it is,
/// with `preStop: sleep 5`, and with a DrainPolicy.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Options {
    /// Writes the table as JSON to this file.
    #[arg(long)]
    report: Option<PathBuf>,
    /// The capture mode that the policy names; without it, the best that can be had.
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
}

fn mode(word: &str) -> Result<Mode, String> {
    let found = Mode::ALL.into_iter().find(|mode| mode.as_str() == word);
    found.ok_or_else(|| {
        let all = Mode::ALL.map(Mode::as_str).join(", ");
        format!("there is no such mode; there are {all}")
    })
}

/// How often each set-up is rolled.
const ROLLS: usize = 3;

fn main() -> ExitCode {
    let options = Options::parse();
    exit::of(run(options).map(|()| 0))
}

fn run(options: Options) -> Result<()> {
    let bed = Bed::attach()?;
    let on_bed = bed.clone();
    let thread = spawn_inside(&bed, MACHINE, move || {
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
    let comparison = Comparison {
        cluster,
        rolls: ROLLS,
        mode: options.mode,
    };
    let mut rows = Vec::new();
    for setup in Setup::ALL {
        let what = format!("{}: {ROLLS} rolling restarts under load", setup.title());
        let tally = step(&what, || {
            runtime.block_on(setup.measure(&comparison, |roll, progress| {
                say(format!(
                    "roll {roll} of {ROLLS} done: {} requests so far, {} failed",
                    table::grouped(progress.requests),
                    table::grouped(progress.failed)
                ));
            }))
        })?;
        rows.push(Row {
            setup,
            mode: options.mode.filter(|_| setup == Setup::Ebb),
            summary: tally.summary(),
        });
    }
    if let Some(path) = &options.report {
        let json = serde_json::to_vec_pretty(&rows)?;
        std::fs::write(path, json).with_context(|| format!("can't write {}", path.display()))?;
    }
    let drain = step("a drain, as kubectl describe shows it", || {
        runtime.block_on(show::watch_a_drain(&comparison.cluster))
    })?;
    show::print(&rows, &drain)
}
