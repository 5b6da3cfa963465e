//! A C++ compiler for libFuzzer: the system's, else one that the test bed fetches into its cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::programs::bed_command;

/// What the crate `cc` looks for on Linux.
const NAMES: [&str; 2] = ["c++", "g++"];

pub(super) enum Compiler {
    /// Found without our help.
    System,
    /// In the cache.
    Fetched {
        program: PathBuf,
        /// Where its libraries are.
        libraries: PathBuf,
    },
}

impl Compiler {
    pub(super) fn find() -> Result<Compiler> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there =
            |name: &&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
        if std::env::var_os("CXX").is_some() || NAMES.iter().any(&is_there) {
            return Ok(Compiler::System);
        }
        eprintln!("==> there is no C++ compiler here: one is fetched into the cache");
        let output = bed_command()?
            .arg("local-cxx")
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("can't start the test bed's program")?;
        let said = String::from_utf8_lossy(&output.stdout);
        match said.lines().collect::<Vec<_>>()[..] {
            [program, libraries] if output.status.success() => Ok(Compiler::Fetched {
                program: program.into(),
                libraries: libraries.into(),
            }),
            _ => bail!("no C++ compiler for libFuzzer: apt-get install g++, or set CXX"),
        }
    }

    /// Tells cargo of it.
    pub(super) fn configure(&self, build: &mut Command) {
        if let Compiler::Fetched { program, libraries } = self {
            build
                .env("CXX", program)
                .env("RUSTFLAGS", search(libraries));
        }
    }
}

fn search(libraries: &Path) -> String {
    format!("-Lnative={}", libraries.display())
}
