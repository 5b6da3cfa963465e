//! A C++ compiler, for libFuzzer, where the system has a C compiler alone.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;

use super::debian;
use crate::folders::Folders;

/// A compiler in the cache.
pub struct Cxx {
    /// The program.
    pub program: PathBuf,
    /// The folder of the libraries that its programs are linked with.
    pub libraries: PathBuf,
}

/// Unpacks the C++ compiler that belongs to the system's C compiler unless that is done: what both
/// have in common is not fetched again.
///
/// # Errors
///
/// The C compiler is not Debian's GCC, or its packages can't be downloaded.
pub fn fetch(folders: &Folders) -> Result<Cxx> {
    let ask = |question: &str| {
        command::run(Command::new("cc").arg(question)).context("can't ask cc, the C compiler")
    };
    let version = ask("-dumpversion")?.trim().to_owned();
    let machine = ask("-dumpmachine")?.trim().to_owned();
    let compiler = format!("g++-{version}");
    let packages = [
        &compiler[..],
        &format!("libstdc++-{version}-dev"),
        &format!("libgcc-{version}-dev"),
    ];
    let folder = folders.cache().join("cxx");
    debian::fetch_into(&folder, &packages, "Debian packages: a C++ compiler")?;
    let cxx = Cxx {
        program: folder.join("usr/bin").join(compiler),
        libraries: folder.join(format!("usr/lib/gcc/{machine}/{version}")),
    };
    for path in [&cxx.program, &cxx.libraries] {
        if !path.exists() {
            bail!("{} is in none of the packages", path.display());
        }
    }
    Ok(cxx)
}
