//! `cargo xtask`: the only door to the project's tasks.
//!
//! It knows the commands, checks at once what they need, and leaves the work to cargo and to the
//! programs of the crates in `tests/`. So it is quick to compile, and on a computer that can't run
//! the cluster the refusal comes before the long builds.

mod check;
#[cfg(target_os = "linux")]
mod disk;
mod fuzz;
mod generated;
mod metadata;
#[cfg(target_os = "linux")]
mod nftables;
mod programs;
mod report;
#[cfg_attr(not(target_os = "linux"), path = "unsupported.rs")]
mod requirements;
mod skip;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

/// The tasks of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows Ebb at work: a sample application, rolled under load in three set-ups.
    ///
    /// Brings up the cluster, builds and loads the images, installs Ebb with its chart, and rolls
    /// the application three times as it is, with `preStop: sleep 5`, and with a DrainPolicy.
    /// Prints a table of the three. The cluster stays up.
    ///
    /// Needs what `cluster up` needs.
    Demo {
        /// Writes the table as JSON too.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// The capture mode that the policy names; without it, the best that can be had.
        ///
        /// In Observe no client is told to leave: those that connect anew for each request lose
        /// none.
        #[arg(long, value_parser = ["Transparent", "Redirect", "NamedPorts", "Observe"])]
        mode: Option<String>,
    },
    /// Runs the tests; without --fast on a real cluster that it brings up.
    ///
    /// Brings up the cluster, builds our images and loads them, and runs all tests of the
    /// workspace, those included that are `#[ignore]`d because they need the cluster, or clients
    /// and servers of other languages.
    ///
    /// Needs what `cluster up` needs; with --fast Rust, and Linux, root, `ip` and nftables for the
    /// tests that make network namespaces: where one is missing they are skipped, and named at the
    /// end.
    Test {
        /// Only the tests that need neither the cluster nor anything that has to be fetched.
        #[arg(long)]
        fast: bool,
        /// For cargo test: for example `-p ebb-cluster`, or `-- some_test_name`.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "CARGO TEST ARGS"
        )]
        arguments: Vec<String>,
    },
    /// Checks all that must hold beside the tests: CONTRIBUTING.md has the list.
    ///
    /// Needs Rust, and Go for Helm, which is built once from its module. What needs something that
    /// is missing here is skipped, and named at the end; with CI=true in the environment that is an
    /// error.
    Check {
        /// Only these checks; all if there is none.
        checks: Vec<String>,
    },
    /// Writes the generated files: the CRD in the chart, and deploy/ rendered from the chart.
    ///
    /// Needs Rust, and Go for Helm, which is built once from its module.
    Crds,
    /// Builds our images as OCI archives in target/images, and prints their sizes.
    ///
    /// Each image is a static program or two. Its name ends in a digest of its content, and `:dev`
    /// is a second name for the one that was built last. Needs Rust, Linux and the GNU C library's
    /// static files (libc6-dev); neither root nor Docker.
    Images {
        /// Only these: ebb-sidecar, ebb-controller, ebb-sample-app, ebb-pause.
        names: Vec<String>,
    },
    /// Compares the relay with other proxies: `bench relay`; `bench relay --help` tells more.
    ///
    /// Needs root and an idle computer; the cluster is not used.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compares a pod with Ebb and one without: plays each scenario in both, and prints what both
    /// sides of its connections saw otherwise. docs/invisible.md has the table.
    ///
    /// Needs Linux, root, `ip` and nftables; the cluster is not used.
    Compare,
    /// Looks for what is rare: `soak clients`; asks clients of WebSockets: `soak codes`. `--help`
    /// behind either tells more.
    ///
    /// Needs root; the cluster is not used.
    #[command(disable_help_flag = true)]
    Soak {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Fuzzes the relay: every protocol's tracker and goodbye, from any bytes.
    ///
    /// Starts from the inputs in fuzz/corpus, which has a file for each target; target/fuzz/kept
    /// has a file for each of its inputs. What is found beside them stays in target/fuzz/corpus,
    /// and an input that breaks something in target/fuzz/broken.
    ///
    /// Needs Rust (stable), and a C++ compiler for libFuzzer: where there is none, Debian's is
    /// fetched into the cache.
    Fuzz {
        /// The time for each target.
        #[arg(long, default_value_t = 30, value_name = "N")]
        seconds: u64,
        /// Puts what was found into fuzz/corpus, which is minimized.
        #[arg(long)]
        keep: bool,
        /// Only these: the files in fuzz/src/bin.
        targets: Vec<String>,
    },
    /// A real two-node Kubernetes on this computer, in network namespaces of its own.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Runs kubectl as an administrator of the cluster, with the arguments as they are.
    ///
    /// Needs root and a cluster that is up.
    #[command(disable_help_flag = true)]
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs helm as an administrator of the cluster, with the arguments as they are.
    ///
    /// Needs root and a cluster that is up.
    #[command(disable_help_flag = true)]
    Helm {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Subcommand)]
enum Cluster {
    /// Brings the cluster up; does nothing when it is up already.
    ///
    /// A cluster that is broken, or that another version of the bed made, is replaced. What is
    /// fetched and built is kept in a cache: $EBB_CACHE, else $XDG_CACHE_HOME/ebb, else
    /// ~/.cache/ebb. Nothing is installed into the system. The first time takes some minutes:
    /// Kubernetes is built from its Go modules.
    ///
    /// Needs Debian or one of its descendants on x86_64, root, Go, 10 GB of disk the first time, 2
    /// GB of free memory, network namespaces and nftables; says at once what is missing.
    Up,
    /// Takes the cluster down: no process, mount, namespace or cgroup is left, whatever happened
    /// before. The cache and the logs stay. Needs root.
    Down,
    /// Shows what runs: processes with their logs, nodes, images and versions.
    ///
    /// Its exit status is 0 if the whole cluster is up. Needs root.
    Status,
    /// Opens a shell in the control plane's network, with KUBECONFIG set and kubectl and helm in
    /// PATH.
    ///
    /// Needs root and a cluster that is up.
    Shell,
    /// Loads an image into both nodes. Needs root and a cluster that is up.
    Load {
        /// The path of an OCI archive, or the name of one of our images: ebb-sidecar,
        /// ebb-controller, ebb-sample-app, ebb-pause.
        image: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<u8> {
    match task {
        Task::Demo { report, mode } => {
            requirements::of_the_cluster()?;
            if let Some(file) = &report {
                report::check_writable(file)?;
            }
            let report = report
                .into_iter()
                .flat_map(|file| ["--report".into(), file.into_os_string()]);
            let mode = mode
                .into_iter()
                .flat_map(|mode| ["--mode".into(), mode.into()]);
            match programs::bed("prepare", [])? {
                0 => programs::demo(report.chain(mode)),
                code => Ok(code),
            }
        }
        Task::Test {
            fast: true,
            arguments,
        } => suite::fast(&arguments),
        Task::Test {
            fast: false,
            arguments,
        } => {
            requirements::of_the_cluster()?;
            suite::all(&arguments)
        }
        Task::Check { checks } => check::run(&checks),
        Task::Crds => generated::write(),
        Task::Images { names } => programs::bed("images", names.into_iter().map(Into::into)),
        Task::Bench { arguments } => {
            requirements::root()?;
            programs::bench(arguments.into_iter().map(Into::into))
        }
        Task::Compare => match requirements::of_namespaces() {
            Some(because) => bail!("the comparison can't run: {because}"),
            None => programs::compare(),
        },
        Task::Soak { arguments } => {
            requirements::root()?;
            programs::soak(arguments.into_iter().map(Into::into))
        }
        Task::Fuzz {
            seconds,
            keep,
            targets,
        } => fuzz::run(&fuzz::Options {
            seconds,
            keep,
            targets,
        }),
        Task::Cluster(Cluster::Up) => {
            requirements::of_the_cluster()?;
            programs::bed("up", [])
        }
        Task::Cluster(Cluster::Down) => {
            requirements::root()?;
            programs::bed("down", [])
        }
        Task::Cluster(Cluster::Status) => {
            requirements::root()?;
            programs::bed("status", [])
        }
        Task::Cluster(Cluster::Shell) => {
            requirements::root()?;
            programs::bed("shell", [])
        }
        Task::Cluster(Cluster::Load { image }) => {
            requirements::root()?;
            programs::bed("load", [image.into()])
        }
        Task::Kubectl { arguments } => {
            requirements::root()?;
            programs::bed("kubectl", arguments.into_iter().map(Into::into))
        }
        Task::Helm { arguments } => {
            requirements::root()?;
            programs::bed("helm", arguments.into_iter().map(Into::into))
        }
    }
}
