//! Dependencies that no source names: they cost everybody's time to build, and an eye at each
//! update.

use std::fs;

use anyhow::Result;

use super::complain;
use super::source;
use crate::metadata::{Metadata, Package};

/// Dependencies that no source names, and why they are there all the same: the crate, the package
/// that it depends on, and the reason.
const UNNAMED: [(&str, &str, &str); 0] = [];

/// Fails if a crate depends on what its sources don't name.
pub(super) fn none() -> Result<()> {
    let mut problems = Vec::new();
    for member in Metadata::read()?.members() {
        let production = code(member, &["src"])?;
        let all = production.clone() + &code(member, &["tests", "examples", "benches"])?;
        for dependency in &member.dependencies {
            let sources = if dependency.is_for_tests {
                &all
            } else {
                &production
            };
            let is_used = is_named(sources, &dependency.identifier);
            let is_listed = UNNAMED
                .iter()
                .any(|(by, name, _)| *by == member.name && *name == dependency.name);
            if !is_used && !is_listed {
                problems.push(format!(
                    "{}: no source names {}: remove it from its Cargo.toml, or say in {} what it \
                     is for",
                    member.name,
                    dependency.name,
                    file!()
                ));
            }
        }
    }
    complain(&problems)
}

/// The code of a crate that is in these folders.
fn code(member: &Package, folders: &[&str]) -> Result<String> {
    let mut all = String::new();
    for folder in folders {
        for file in source::files(&member.folder().join(folder))? {
            all.push_str(&source::code(&fs::read_to_string(file)?));
            all.push('\n');
        }
    }
    Ok(all)
}

/// Whether a crate is named: before `::`, or by itself after `use`.
fn is_named(code: &str, identifier: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(identifier).any(|(at, _)| {
        let before = &code[..at];
        let after = &code[at + identifier.len()..];
        let is_word = !before.ends_with(is_part) && !after.starts_with(is_part);
        // In the middle of a path it is a module of that name.
        let is_first = !before.ends_with("::") || before.ends_with(" ::");
        is_word && is_first && (after.starts_with("::") || before.ends_with("use "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_before_colons_or_after_use() {
        for (code, expected) in [
            ("use tower::Service;", true),
            ("use tower as t;", true),
            ("#[tower::main]", true),
            ("fn tower() {}", false),
            ("use hyper::tower::Service;", false),
            ("use watchtower::Service;", false),
            ("use tower_http::Service;", false),
        ] {
            assert_eq!(is_named(code, "tower"), expected, "{code}");
        }
    }
}
