//! The program behind `cargo xtask demo`, which brings up the cluster and builds and loads the
//! images before; see [`ebb_tests::demo`].

use std::process::ExitCode;

use clap::Parser as _;
use ebb_tests::bed::Bed;
use ebb_tests::demo::{self, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    match Bed::attach().and_then(|bed| demo::run(&bed, options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
