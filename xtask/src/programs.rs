//! Runs cargo and the programs of the crates in `tests/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_paths::workspace;

/// Runs a command of the test bed's program, in the folder where we are, and returns its status.
pub(crate) fn bed(command: &str, arguments: impl IntoIterator<Item = OsString>) -> Result<u8> {
    status(bed_command()?.arg(command).args(arguments))
}

/// Runs the benchmarks' program, in the folder where we are, and returns its status.
pub(crate) fn bench(arguments: impl IntoIterator<Item = OsString>) -> Result<u8> {
    status(built("ebb-bench", "ebb-bench")?.args(arguments))
}

/// Runs the comparison's program with a fresh build of the sidecar, and returns its status.
pub(crate) fn compare() -> Result<u8> {
    let sidecar = built("ebb-sidecar", "ebb-sidecar")?;
    let mut compare = built("ebb-compare", "ebb-compare")?;
    status(compare.arg("--sidecar").arg(sidecar.get_program()))
}

/// Runs the soaks' program, in the folder where we are, and returns its status.
pub(crate) fn soak(arguments: impl IntoIterator<Item = OsString>) -> Result<u8> {
    status(built("ebb-clients", "ebb-soak")?.args(arguments))
}

/// Runs the demo's program, in the folder where we are, and returns its status.
pub(crate) fn demo(arguments: impl IntoIterator<Item = OsString>) -> Result<u8> {
    status(built("ebb-demo", "ebb-demo")?.args(arguments))
}

/// The test bed's program, freshly built.
pub(crate) fn bed_command() -> Result<Command> {
    built("ebb-bed", "ebb-bed")
}

/// A program of one of the crates in `tests/`, freshly built.
fn built(package: &str, name: &str) -> Result<Command> {
    // Cargo puts the programs of a workspace beside each other.
    let program = std::env::current_exe()?.with_file_name(name);
    build(package, name, &program)?;
    Ok(Command::new(program))
}

/// Runs a command with our stdin, stdout and stderr and returns its status as shells do.
pub(crate) fn status(command: &mut Command) -> Result<u8> {
    let name = PathBuf::from(command.get_program());
    let status = command
        .status()
        .with_context(|| format!("can't start {}", name.display()))?;
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    let code = status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn build(package: &str, name: &str, program: &Path) -> Result<()> {
    let mut build = workspace::cargo();
    build.args(["build", "--package", package, "--bin", name]);
    if program.exists() {
        // Mostly there is nothing to do, and nothing to say.
        build.arg("--quiet");
    }
    let code = std::thread::scope(|scope| {
        let (finished, patience) = channel::<()>();
        scope.spawn(move || {
            if patience.recv_timeout(Duration::from_secs(5)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("==> building {name}, or waiting for another cargo");
            }
        });
        let code = status(&mut build);
        drop(finished);
        code
    })?;
    if code != 0 {
        bail!("{name} does not build");
    }
    Ok(())
}
