//! `cargo xtask test`.
//!
//! A test that needs the cluster is `#[ignore = "needs the cluster: cargo xtask test"]`, and one with
//! clients of other languages is ignored because they have to be fetched; so a plain `cargo test` passes
//! without either and still names what it left out. It passes as root on Linux: the
//! tests in a pod's network (`sidecar/tests/network`) make network namespaces, and fail elsewhere,
//! since a test that is skipped unseen proves nothing.

use anyhow::Result;

use crate::programs::{bed, cargo, status};

/// The tests that need neither the cluster nor anything that has to be fetched.
pub(crate) fn fast(arguments: &[String]) -> Result<u8> {
    status(cargo().args(["test", "--workspace"]).args(arguments))
}

/// All tests, with the cluster up and our images loaded.
pub(crate) fn all(arguments: &[String]) -> Result<u8> {
    let code = bed("prepare", [])?;
    if code != 0 {
        return Ok(code);
    }
    status(
        cargo()
            .args(["test", "--workspace"])
            .args(including_ignored(arguments)),
    )
}

/// The arguments of cargo test, and behind its `--` the flag of the test programs that includes the
/// ignored tests.
fn including_ignored(arguments: &[String]) -> Vec<String> {
    let split = arguments
        .iter()
        .position(|argument| argument == "--")
        .unwrap_or(arguments.len());
    let (for_cargo, for_tests) = arguments.split_at(split);
    let own = ["--".to_owned(), "--include-ignored".to_owned()];
    for_cargo
        .iter()
        .cloned()
        .chain(own)
        .chain(for_tests.iter().skip(1).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_to_the_test_programs() {
        let with = |text: &str| {
            let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            including_ignored(&arguments).join(" ")
        };
        assert_eq!(with(""), "-- --include-ignored");
        assert_eq!(
            with("-p ebb-cluster"),
            "-p ebb-cluster -- --include-ignored"
        );
        assert_eq!(
            with("-p ebb-cluster -- rollout"),
            "-p ebb-cluster -- --include-ignored rollout"
        );
    }
}
