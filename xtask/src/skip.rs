//! What this computer can't run is left out loudly: it is named at the end, with what it lacks.
//!
//! In CI nothing may be left out: where the environment has `CI=true`, that is an error.

use anyhow::{Result, bail};

/// What was left out.
pub(crate) struct Skipped {
    pub(crate) name: String,
    /// What is missing, and how to get it.
    pub(crate) because: String,
}

/// Says what was left out, if anything was; fails then in CI.
pub(crate) fn conclude(skipped: &[Skipped]) -> Result<()> {
    conclude_in(
        skipped,
        std::env::var("CI").is_ok_and(|value| value == "true"),
    )
}

fn conclude_in(skipped: &[Skipped], is_ci: bool) -> Result<()> {
    if skipped.is_empty() {
        return Ok(());
    }
    eprintln!("\nskipped, since this computer can't run it:");
    for Skipped { name, because } in skipped {
        eprintln!("  - {name}: {because}");
    }
    if is_ci {
        bail!("in CI (CI=true) nothing may be skipped");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ci_takes_what_was_skipped_for_an_error() {
        let skipped = [Skipped {
            name: "chart".to_owned(),
            because: "go is missing".to_owned(),
        }];
        assert!(conclude_in(&skipped, false).is_ok());
        assert!(conclude_in(&skipped, true).is_err());
        assert!(conclude_in(&[], true).is_ok());
    }
}
