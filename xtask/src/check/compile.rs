//! The checks that need a compiler: lints, documentation, and each crate alone.
//!
//! They share cargo's target folder, and what they don't change of the features: what one has
//! compiled, the next one takes.

use std::process::Command;

use anyhow::{Result, bail};
use ebb_paths::workspace;

use super::succeeds;
use crate::metadata::Metadata;
use crate::programs::status;

/// Clippy, with warnings denied, in our workspace and in that of the fuzz targets.
pub(super) fn lints() -> Result<()> {
    let deny = ["--all-targets", "--", "-D", "warnings"];
    succeeds(status(
        workspace::cargo()
            .args(["clippy", "--locked", "--workspace"])
            .args(deny),
    ))?;
    succeeds(status(fuzz().args(["clippy", "--locked"]).args(deny)))
}

/// A cargo that works on the fuzz targets' workspace without making programs of it.
fn fuzz() -> Command {
    let mut command = workspace::cargo();
    command
        .current_dir(workspace::folder().join("fuzz"))
        .env("CARGO_TARGET_DIR", workspace::target())
        // Nothing is linked, so libFuzzer, which needs a C++ compiler, need not be there. The path
        // has a folder all the same: rustc refuses an empty one to search for libraries.
        .env(
            "CUSTOM_LIBFUZZER_PATH",
            workspace::target().join("libfuzzer.a"),
        )
        // Nothing runs, so nothing is instrumented.
        .env("RUSTC_WRAPPER", "");
    command
}

/// The documentation of all that there is, private items too: links lead from rooms into rooms.
pub(super) fn documentation() -> Result<()> {
    let all = ["doc", "--locked", "--workspace", "--no-deps"];
    // The tests turn this feature on. With it, what the lints have compiled is compiled once.
    let same = ["--document-private-items", "--features", "tokio/test-util"];
    let mut command = workspace::cargo();
    command.args(all).args(same).env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private-intra-doc-links",
    );
    succeeds(status(&mut command))
}

/// Each crate of ours without the others: cargo unites the features that the crates of a workspace
/// ask for, so one may lean on what another has turned on.
pub(super) fn alone() -> Result<()> {
    let metadata = Metadata::read()?;
    let mut failed = Vec::new();
    for member in metadata.members() {
        let mut check = workspace::cargo();
        check.args(["check", "--locked", "--quiet", "--package", &member.name]);
        if status(&mut check)? != 0 {
            failed.push(member.name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "these don't compile alone: {}; see with `cargo check -p NAME`, and turn the missing \
         feature on in its Cargo.toml",
        failed.join(", ")
    )
}
