//! The program of `cargo xtask soak`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use ebb_bed::exit;
use ebb_bed::folders::Folders;
use ebb_clients::client::Client;
use ebb_clients::{Plan, conformance, rejoin, trust};

/// Long runs that look for what is rare.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Arguments {
    #[command(subcommand)]
    soak: Soak,
}

#[derive(Subcommand)]
enum Soak {
    /// Real clients (curl, those of Python, Node, Go and Java, gateways) through real drains: not
    /// one may see an error.
    ///
    /// Each client talks with every server that speaks its protocol, each in a pod with the sidecar
    /// before it, while pod after pod is replaced. Only where a policy says that connections of TLS
    /// are cut, errors are let pass, as many as connections were. A drain takes about 10 seconds,
    /// and those of all services go on at the same time. Libraries, those of Java, gateways, and
    /// what speaks TLS or SMTP have a round each. What is needed is fetched into the cache; nothing
    /// is installed.
    ///
    /// Needs root, network namespaces, nftables, Go, and the package sources of Debian, Python,
    /// Node and Java.
    Clients(Clients),
    /// Which clients of WebSockets connect again by themselves after which code, and how soon.
    ///
    /// What the default of `connections.webSocketCode` was chosen by: prints the table of
    /// docs/policy.md. Takes two minutes, and needs what `clients` needs.
    Codes(Built),
    /// Runs a conformance suite for HTTP/2 on servers with and without the sidecar; for the test.
    #[command(hide = true)]
    Conformance(Built),
    /// Asks servers that go by their clients' addresses, with and without the sidecar; for the
    /// test.
    #[command(hide = true)]
    Trust(Built),
    /// Runs a plan within the namespaces that were made for it.
    #[command(name = ebb_clients::INSIDE, hide = true)]
    Inside { plan: String },
    /// The same for the codes of WebSockets.
    #[command(name = rejoin::INSIDE, hide = true)]
    CodesInside { plan: String },
    /// The same for the conformance suite.
    #[command(name = conformance::INSIDE, hide = true)]
    ConformanceInside { plan: String },
    /// The same for the servers that go by addresses.
    #[command(name = trust::INSIDE, hide = true)]
    TrustInside { plan: String },
}

#[derive(clap::Args)]
struct Clients {
    /// How many pods of each service are drained.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    drains: u32,
    /// Only these clients.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Client>,
    #[command(flatten)]
    built: Built,
}

#[derive(Clone, clap::Args)]
struct Built {
    /// A sidecar that was built already; else the checkout's is built.
    #[arg(long, value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// A sample application that was built already; else the checkout's is built.
    #[arg(long, value_name = "FILE")]
    sample_app: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit::of(run(Arguments::parse().soak))
}

fn run(soak: Soak) -> Result<u8> {
    let program = || std::env::current_exe().context("can't find this program's own file");
    let read = |plan: &str| -> Result<Plan> {
        serde_json::from_str(plan).context("the plan can't be read")
    };
    match soak {
        Soak::Clients(arguments) => {
            let rounds = match arguments.only {
                only if only.is_empty() => Client::rounds().to_vec(),
                only => vec![only],
            };
            for clients in rounds {
                let plan = arguments.built.clone().plan(clients, arguments.drains)?;
                let status = plan.isolate(&program()?, ebb_clients::INSIDE)?;
                if status != 0 {
                    return Ok(status);
                }
            }
            Ok(0)
        }
        Soak::Codes(built) => {
            let plan = built.plan(Vec::new(), 0)?;
            plan.runtimes.fetch_rejoin()?;
            plan.isolate(&program()?, rejoin::INSIDE)
        }
        Soak::CodesInside { plan } => show(&rejoin::run(&read(&plan)?)?, &[]),
        Soak::Conformance(built) => {
            let plan = built.plan(Vec::new(), 0)?;
            plan.isolate(&program()?, conformance::INSIDE)
        }
        Soak::Trust(built) => {
            trust::files::fetch(&Folders::from_environment()?)?;
            let plan = built.plan(Vec::new(), 0)?;
            plan.isolate(&program()?, trust::INSIDE)
        }
        Soak::Inside { plan } => {
            let report = read(&plan)?.run()?;
            show(&report.table, &report.failures)
        }
        Soak::ConformanceInside { plan } => {
            let (lines, differences) = conformance::run(&read(&plan)?)?;
            show(&(lines.join("\n") + "\n"), &differences)
        }
        Soak::TrustInside { plan } => {
            let (lines, differences) = trust::run(&read(&plan)?)?;
            show(&(lines.join("\n") + "\n"), &differences)
        }
    }
}

/// Prints what came of a run; the status is 1 if something failed.
fn show(text: &str, failures: &[String]) -> Result<u8> {
    std::io::stdout().write_all(text.as_bytes())?;
    for failure in failures {
        eprintln!("failed: {failure}");
    }
    Ok(u8::from(!failures.is_empty()))
}

// === impl Built ===

impl Built {
    /// The plan, with all programs in place.
    fn plan(self, clients: Vec<Client>, drains: u32) -> Result<Plan> {
        let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        let (sidecar, sample_app) = (absolute(self.sidecar)?, absolute(self.sample_app)?);
        Plan::prepare(clients, drains, sidecar, sample_app)
    }
}
