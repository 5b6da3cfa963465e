//! `cargo xtask check`: what must hold before a change lands, beside the tests. [`CHECKS`] is the
//! list.
//!
//! Each check fails with sentences that say what to do, and each was seen to fail.

mod compile;
mod crates;
mod deny;
mod rooms;
mod source;
mod unused;
mod width;

use std::time::Instant;

use anyhow::{Result, bail};
use ebb_paths::workspace;

use crate::generated;
use crate::programs::{bed, status};
use crate::requirements::{of_compiling, of_helm};
use crate::skip::{self, Skipped};

/// A check, and the name that it is called by.
struct Check {
    name: &'static str,
    /// What this computer lacks for it, if anything.
    lacks: fn() -> Option<String>,
    run: fn() -> Result<()>,
}

/// What is quick comes first.
const CHECKS: [Check; 12] = [
    Check {
        name: "formatting",
        lacks: nothing,
        run: formatting,
    },
    Check {
        name: "rooms",
        lacks: nothing,
        run: rooms::hold,
    },
    Check {
        name: "crates",
        lacks: nothing,
        run: crates::hold,
    },
    Check {
        name: "dependencies",
        lacks: nothing,
        run: deny::hold,
    },
    Check {
        name: "unused-dependencies",
        lacks: nothing,
        run: unused::none,
    },
    Check {
        name: "line-width",
        lacks: nothing,
        run: width::hold,
    },
    Check {
        name: "lints",
        lacks: of_compiling,
        run: compile::lints,
    },
    Check {
        name: "documentation",
        lacks: of_compiling,
        run: compile::documentation,
    },
    Check {
        name: "crates-alone",
        lacks: of_compiling,
        run: compile::alone,
    },
    Check {
        name: "crd",
        lacks: nothing,
        run: generated::compare_crd,
    },
    Check {
        name: "manifests",
        lacks: of_helm,
        run: generated::compare_manifests,
    },
    Check {
        name: "chart",
        lacks: of_helm,
        run: chart,
    },
];

/// Runs every check, or those with these names, also after one has failed; names those that failed.
pub(crate) fn run(names: &[String]) -> Result<u8> {
    let known = CHECKS.map(|check| check.name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "there is no check {unknown}; there are {}",
            known.join(", ")
        );
    }
    let mut failed = Vec::new();
    let mut skipped = Vec::new();
    for check in &CHECKS {
        if !names.is_empty() && !names.iter().any(|name| name == check.name) {
            continue;
        }
        if let Some(because) = (check.lacks)() {
            skipped.push(Skipped {
                name: check.name.to_owned(),
                because,
            });
        } else if !check.holds() {
            failed.push(check.name);
        }
    }
    let is_whole = skip::conclude(&skipped);
    if !failed.is_empty() {
        bail!("these checks failed: {}", failed.join(", "));
    }
    is_whole.map(|()| 0)
}

/// What every computer has that can run this.
fn nothing() -> Option<String> {
    None
}

// === impl Check ===

impl Check {
    fn holds(&self) -> bool {
        let name = self.name;
        eprintln!("==> {name}");
        let start = Instant::now();
        let result = (self.run)();
        let took = start.elapsed().as_secs_f64();
        match &result {
            Ok(()) => eprintln!("    {name}: good, {took:.1} s"),
            Err(error) => eprintln!("    {name}: FAILED after {took:.1} s: {error:#}"),
        }
        result.is_ok()
    }
}

fn formatting() -> Result<()> {
    succeeds(status(workspace::cargo().args(["fmt", "--all", "--check"])))?;
    let fuzz = workspace::folder().join("fuzz");
    succeeds(status(
        workspace::cargo()
            .args(["fmt", "--check"])
            .current_dir(fuzz),
    ))
}

fn chart() -> Result<()> {
    succeeds(bed(
        "local-helm",
        ["lint".into(), "--strict".into(), generated::chart().into()],
    ))
}

/// Fails if there is any problem, with all of them, a line each.
fn complain(problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    bail!("\n      - {}", problems.join("\n      - "))
}

fn succeeds(code: Result<u8>) -> Result<()> {
    match code? {
        0 => Ok(()),
        code => bail!("exit status {code}"),
    }
}
