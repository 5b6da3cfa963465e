//! The program behind `cargo xtask soak`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum as _};
use ebb_tests::clients::client::Client;
use ebb_tests::clients::{self, Plan};

/// Long runs that look for what is rare.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Arguments {
    #[command(subcommand)]
    soak: Soak,
}

#[derive(Subcommand)]
enum Soak {
    /// Real clients (curl, Python's, Node's, gateways) through real drains: not one may see an error.
    ///
    /// Each client talks with every server that speaks its protocol, each in a pod with the sidecar
    /// before it, while pod after pod is replaced. A drain takes about 8 seconds, and those of all
    /// services go on at the same time. What is needed is fetched into the cache; nothing is installed.
    ///
    /// Needs root, network namespaces, nftables, Go, and the package sources of Debian, Python and
    /// Node.
    Clients(Clients),
    /// Runs a plan within the namespaces that were made for it.
    #[command(name = clients::INSIDE, hide = true)]
    Inside { plan: String },
}

#[derive(clap::Args)]
struct Clients {
    /// How many pods of each service are drained.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    drains: u32,
    /// Only these clients.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Client>,
    /// A sidecar that was built already; else the checkout's is built.
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// A sample application that was built already; else the checkout's is built.
    #[arg(long, value_name = "FILE")]
    sample_app: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().soak) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(soak: Soak) -> Result<u8> {
    match soak {
        Soak::Clients(arguments) => {
            let clients = match arguments.only {
                only if only.is_empty() => Client::value_variants().to_vec(),
                only => only,
            };
            let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
            let plan = Plan::prepare(
                clients,
                arguments.drains,
                absolute(arguments.sidecar)?,
                absolute(arguments.sample_app)?,
            )?;
            let program = std::env::current_exe().context("can't find this program's own file")?;
            plan.isolate(&program)
        }
        Soak::Inside { plan } => {
            let plan: Plan = serde_json::from_str(&plan).context("the plan can't be read")?;
            let report = plan.run()?;
            std::io::stdout().write_all(report.table.as_bytes())?;
            for failure in &report.failures {
                eprintln!("failed: {failure}");
            }
            Ok(u8::from(!report.failures.is_empty()))
        }
    }
}
