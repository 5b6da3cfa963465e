//! Prints the comparison of a pod with Ebb and one without.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ebb_compare::stage::ReversePath;

/// Plays each scenario in a pod without Ebb and in one for each mode, and prints what differs. Ends
/// with 1 if something does that is not known to.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask compare", bin_name = "cargo xtask compare")]
struct Options {
    /// The sidecar's program.
    #[arg(long, value_name = "FILE")]
    sidecar: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let scratch = tempfile::tempdir()?;
    let table = ebb_compare::run(&options.sidecar, scratch.path(), ReversePath::Any)?;
    print!("{table}");
    let surprises = table.surprises();
    for surprise in &surprises {
        eprintln!("{surprise}");
    }
    Ok(ExitCode::from(u8::from(!surprises.is_empty())))
}
