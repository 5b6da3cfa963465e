//! The program of those commands of `cargo xtask` that touch the cluster or its images; those
//! document them and check what they need. It has no Kubernetes client of its own, so that it is
//! built soon and the cluster can come up: it asks kubectl.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use ebb_bed::folders::Folders;
use ebb_bed::{Bed, exit, fetch, image, machine, status, up};
use ebb_netns::command;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Door,
}

#[derive(Subcommand)]
enum Door {
    Up,
    Down,
    Status,
    Shell,
    Load {
        image: String,
    },
    Images {
        names: Vec<String>,
    },
    /// Brings the cluster up, builds our images and loads them.
    Prepare,
    Kubectl(Rest),
    Helm(Rest),
    /// A helm for what needs no cluster: lint, template.
    LocalHelm(Rest),
    /// Fetches a C++ compiler, and prints where it and its libraries are.
    LocalCxx,
    /// The first process of a machine of the bed.
    #[command(name = machine::INIT_COMMAND)]
    MachineInit {
        name: String,
        cache: PathBuf,
    },
}

/// The arguments for another program.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    exit::of(run(Arguments::parse().command))
}

fn run(command: Door) -> Result<u8> {
    match command {
        Door::Up => drop(bring_up()?),
        Door::Down => up::down()?,
        Door::Status => {
            let (text, well) = status::describe()?;
            std::io::stdout().write_all(text.as_bytes())?;
            return Ok(u8::from(!well));
        }
        Door::Shell => return command::interactive(&mut Bed::attach()?.shell_command()?),
        Door::Load { image } => Bed::attach()?.load_image(&image)?,
        Door::Images { names } => image::build::images(&names)?,
        Door::Prepare => prepare()?,
        Door::Kubectl(rest) => {
            return command::interactive(Bed::attach()?.kubectl_command()?.args(rest.arguments));
        }
        Door::Helm(rest) => {
            return command::interactive(Bed::attach()?.helm_command()?.args(rest.arguments));
        }
        Door::LocalHelm(rest) => {
            let helm = fetch::golang::helm(&Folders::from_environment()?)?;
            return command::interactive(std::process::Command::new(helm).args(rest.arguments));
        }
        Door::LocalCxx => {
            let cxx = fetch::cxx::fetch(&Folders::from_environment()?)?;
            let mut out = std::io::stdout();
            writeln!(out, "{}", cxx.program.display())?;
            writeln!(out, "{}", cxx.libraries.display())?;
        }
        Door::MachineInit { name, cache } => machine::init(&name, &Folders::at(cache))?,
    }
    Ok(0)
}

fn bring_up() -> Result<Bed> {
    up::up(&std::env::current_exe().context("can't find this program's own file")?)
}

fn prepare() -> Result<()> {
    let bed = bring_up()?;
    image::build::images(&[])?;
    bed.load_images(&image::current()?)
}
