//! `cargo xtask test`.
//!
//! A test that needs the cluster is `#[ignore = "needs the cluster: cargo xtask test"]`, and one
//! with clients of other languages is ignored because they have to be fetched; so a plain `cargo
//! test` passes without either and still names what it left out. Tests in network namespaces need
//! root on Linux: where that can't be, [`fast`] leaves their programs out, and says so at its end.

use std::process::Command;

use anyhow::{Result, bail};
use ebb_paths::workspace;

use crate::metadata::Metadata;
use crate::programs::{bed, status};
use crate::requirements;
use crate::skip::{self, Skipped};

/// The test programs that make network namespaces: the crate, and the program's name.
const IN_NAMESPACES: [(&str, &str); 1] = [("ebb-sidecar", "network")];

/// The tests that need neither the cluster nor anything that has to be fetched.
///
/// Whoever says which packages or programs to test gets those.
pub(crate) fn fast(arguments: &[String]) -> Result<u8> {
    let because = match requirements::of_namespaces() {
        Some(because) if !choose_any(arguments, &CHOICES) => because,
        _ => return status(test(arguments).args(arguments)),
    };
    let metadata = Metadata::read()?;
    let mut programs = test(arguments);
    programs.args(["--lib", "--bins"]);
    let mut skipped = Vec::new();
    for member in metadata.members() {
        for name in &member.tests {
            if IN_NAMESPACES.contains(&(&*member.name, &**name)) {
                skipped.push(Skipped {
                    name: format!("the tests of {}, program {name}", member.name),
                    because: because.clone(),
                });
            } else {
                programs.args(["--test", name]);
            }
        }
    }
    if skipped.len() != IN_NAMESPACES.len() {
        bail!(
            "a test program that makes network namespaces is gone: name it in {}",
            file!()
        );
    }
    let code = status(programs.args(arguments))?;
    skip::conclude(&skipped)?;
    Ok(code)
}

/// All tests, with the cluster up and our images loaded.
pub(crate) fn all(arguments: &[String]) -> Result<u8> {
    let code = bed("prepare", [])?;
    if code != 0 {
        return Ok(code);
    }
    status(test(arguments).args(including_ignored(arguments)))
}

/// `cargo test` of everything, unless the arguments say of what.
fn test(arguments: &[String]) -> Command {
    let mut command = workspace::cargo();
    command.arg("test");
    if !choose_any(arguments, &PACKAGES) {
        command.arg("--workspace");
    }
    command
}

/// Options of cargo test that say which packages are tested. It would take no notice of them beside
/// `--workspace`.
const PACKAGES: [&str; 2] = ["-p", "--package"];

/// Options of cargo test that say which programs are tested.
const CHOICES: [&str; 6] = ["-p", "--package", "--test", "--lib", "--bin", "--doc"];

/// Whether any of these options is there.
fn choose_any(arguments: &[String], options: &[&str]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| options.iter().any(|option| argument.starts_with(option)))
}

/// The arguments of cargo test, and after its `--` the flag of the test programs that includes the
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
    fn who_names_packages_gets_those_alone() {
        for (text, expected) in [
            ("", false),
            ("-- -p", false),
            ("--test network", false),
            ("-p ebb-tests", true),
            ("--package=ebb-tests -- rollout", true),
        ] {
            let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(choose_any(&arguments, &PACKAGES), expected, "{text}");
        }
    }

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
