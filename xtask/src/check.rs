//! `cargo xtask check`: what must hold before a change lands, beside the tests. [`CHECKS`] is the
//! list.
//!
//! Each check fails with sentences that say what to do, and each was seen to fail.

mod compile;
mod crates;
mod deny;
mod metadata;
mod rooms;
mod source;
mod unused;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::generated;
use crate::programs::{bed, cargo, status, workspace};

/// A check, and the name that it is called by.
struct Check {
    name: &'static str,
    run: fn() -> Result<()>,
}

/// What is quick comes first.
const CHECKS: [Check; 10] = [
    Check {
        name: "formatting",
        run: formatting,
    },
    Check {
        name: "rooms",
        run: rooms::hold,
    },
    Check {
        name: "crates",
        run: crates::hold,
    },
    Check {
        name: "dependencies",
        run: deny::hold,
    },
    Check {
        name: "unused-dependencies",
        run: unused::none,
    },
    Check {
        name: "lints",
        run: compile::lints,
    },
    Check {
        name: "documentation",
        run: compile::documentation,
    },
    Check {
        name: "crates-alone",
        run: compile::alone,
    },
    Check {
        name: "generated-files",
        run: generated::compare,
    },
    Check {
        name: "chart",
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
    let failed: Vec<&str> = CHECKS
        .iter()
        .filter(|check| names.is_empty() || names.iter().any(|name| name == check.name))
        .filter(|check| !check.holds())
        .map(|check| check.name)
        .collect();
    if failed.is_empty() {
        return Ok(0);
    }
    bail!("these checks failed: {}", failed.join(", "))
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
    succeeds(status(cargo().args(["fmt", "--all", "--check"])))?;
    let fuzz = workspace().join("fuzz");
    succeeds(status(cargo().args(["fmt", "--check"]).current_dir(fuzz)))
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
