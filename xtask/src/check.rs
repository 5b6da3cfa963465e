//! `cargo xtask check`: what must hold before a change lands, beside the tests.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::generated;
use crate::programs::{bed, cargo, status, workspace};

/// Runs every check, also after one has failed, and names those that failed.
pub(crate) fn all() -> Result<u8> {
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let results = [
        check("formatting", || {
            succeeds(status(cargo().args(["fmt", "--all", "--check"])))?;
            let fuzz = workspace().join("fuzz");
            succeeds(status(cargo().args(["fmt", "--check"]).current_dir(fuzz)))
        }),
        check("lints", || succeeds(status(cargo().args(clippy)))),
        check("generated files", generated::compare),
        check("chart", || {
            succeeds(bed(
                "local-helm",
                ["lint".into(), "--strict".into(), generated::chart().into()],
            ))
        }),
    ];
    let failed: Vec<&str> = results.into_iter().flatten().collect();
    if failed.is_empty() {
        return Ok(0);
    }
    bail!("these checks failed: {}", failed.join(", "))
}

/// Runs one check; returns its name if it failed.
fn check(name: &'static str, run: impl FnOnce() -> Result<()>) -> Option<&'static str> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = run();
    let took = start.elapsed().as_secs_f64();
    match result {
        Ok(()) => {
            eprintln!("    {name}: good, {took:.1} s");
            None
        }
        Err(error) => {
            eprintln!("    {name}: FAILED after {took:.1} s: {error:#}");
            Some(name)
        }
    }
}

fn succeeds(code: Result<u8>) -> Result<()> {
    match code? {
        0 => Ok(()),
        code => bail!("exit status {code}"),
    }
}
