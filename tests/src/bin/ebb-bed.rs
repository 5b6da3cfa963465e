//! The program behind `cargo xtask cluster`, `kubectl`, `helm` and `images`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use ebb_tests::bed::folders::Folders;
use ebb_tests::bed::{Bed, command, image, machine, up};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Door,
}

#[derive(Subcommand)]
enum Door {
    /// A real two-node Kubernetes on this computer, in network namespaces of its own.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Runs kubectl as an administrator of the cluster.
    #[command(disable_help_flag = true)]
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs helm as an administrator of the cluster.
    #[command(disable_help_flag = true)]
    Helm {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Builds our images as OCI archives.
    Images,
    /// The first process of a machine of the bed.
    #[command(name = machine::INIT_COMMAND, hide = true)]
    MachineInit { name: String, cache: PathBuf },
}

#[derive(Subcommand)]
enum Cluster {
    /// Brings the cluster up.
    Up,
    /// Takes the cluster down.
    Down,
    /// Loads an image into both nodes.
    Load {
        /// The path of an OCI archive, or the name of one of our images.
        image: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<u8> {
    match arguments.command {
        Door::Cluster(Cluster::Up) => {
            let program = std::env::current_exe().context("can't find this program's own file")?;
            up::up(&program)?;
        }
        Door::Cluster(Cluster::Down) => up::down()?,
        Door::Cluster(Cluster::Load { image }) => Bed::attach()?.load_image(&image)?,
        Door::Kubectl { arguments } => {
            return command::interactive(Bed::attach()?.kubectl_command()?.args(arguments));
        }
        Door::Helm { arguments } => {
            return command::interactive(Bed::attach()?.helm_command()?.args(arguments));
        }
        Door::Images => {
            image::build::all()?;
        }
        Door::MachineInit { name, cache } => machine::init(&name, &Folders::at(cache))?,
    }
    Ok(0)
}
