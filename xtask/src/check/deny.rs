//! What we take from other people: under which licenses, from where, what never, and nothing twice.
//!
//! This is what cargo-deny looks at. It is asked of cargo itself, since building cargo-deny takes
//! longer than all other checks together. The lists are in `deny/lists.rs`.

mod license;
mod lists;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ebb_paths::workspace;

use super::complain;
use crate::metadata::{Metadata, Package};
use lists::{BANNED, DUPLICATES, LICENSES};

/// Fails if anything is built in that the lists don't allow. The fuzz targets' workspace is held to
/// the same, and to the same versions.
pub(super) fn hold() -> Result<()> {
    let ours = Metadata::read()?;
    let fuzz = Metadata::read_in(&workspace::folder().join("fuzz"))?;
    let mut problems = Vec::new();
    for package in ours.packages().iter().chain(fuzz.packages()) {
        problems.extend(license_of(package));
        problems.extend(source_of(package));
        problems.extend(ban_of(package));
    }
    problems.extend(duplicates(ours.packages()));
    problems.extend(other_versions(ours.packages(), fuzz.packages()));
    problems.sort();
    problems.dedup();
    complain(&problems)
}

fn license_of(package: &Package) -> Option<String> {
    let Some(expression) = &package.license else {
        return Some(format!("{} names no license", package.name));
    };
    let is_allowed = |license: &str| LICENSES.contains(&license);
    match license::is_satisfied(expression, is_allowed) {
        Some(true) => None,
        Some(false) => Some(format!(
            "{} is licensed under {expression}, which deny/lists.rs does not allow: use another \
             crate, or have the license looked at and add it",
            package.name
        )),
        None => Some(format!(
            "{} has a license that can't be read: {expression}",
            package.name
        )),
    }
}

/// A package comes from a registry, or is one of our folders.
fn source_of(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    (!source.starts_with("registry+")).then(|| {
        format!(
            "{} comes from {source}: use what is published in the registry",
            package.name
        )
    })
}

fn ban_of(package: &Package) -> Option<String> {
    let (_, reason) = BANNED.iter().find(|(name, _)| *name == package.name)?;
    let name = &package.name;
    Some(format!(
        "{name} is banned ({reason}): see who brings it with `cargo tree -i {name}`"
    ))
}

/// Packages that are there in more versions than the list says, or in fewer.
fn duplicates(packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let found = versions.entry(&package.name).or_default();
        found.insert(&package.version);
    }
    let mut problems = Vec::new();
    for (name, found) in &versions {
        let listed = DUPLICATES.iter().find(|duplicate| duplicate.name == *name);
        let allowed = listed.map_or(1, |duplicate| duplicate.versions);
        let all: Vec<&str> = found.iter().copied().collect();
        if found.len() > allowed {
            problems.push(format!(
                "{name} is built in the versions {}: `cargo update` may bring them together; else \
                 say in deny/lists.rs why they are needed",
                all.join(" and ")
            ));
        }
    }
    for duplicate in &DUPLICATES {
        let found = versions.get(duplicate.name).map_or(0, BTreeSet::len);
        if found < duplicate.versions {
            problems.push(format!(
                "{} is there in {found} version(s), and deny/lists.rs allows {}: lower it there",
                duplicate.name, duplicate.versions
            ));
        }
    }
    problems
}

/// Both workspaces build the sidecar: what is fuzzed has to be what is shipped.
fn other_versions(ours: &[Package], fuzz: &[Package]) -> Vec<String> {
    let named = |package: &&Package| ours.iter().any(|other| other.name == package.name);
    let same = |package: &&Package| {
        ours.iter()
            .any(|other| other.name == package.name && other.version == package.version)
    };
    fuzz.iter()
        .filter(|package| package.source.is_some())
        .filter(|package| named(package) && !same(package))
        .map(|package| {
            format!(
                "fuzz/Cargo.lock has {} {}, and Cargo.lock has not: run `cargo update -p {} \
                 --precise …` in one of them",
                package.name, package.version, package.name
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            dependencies: Vec::new(),
            tests: Vec::new(),
            manifest: "Cargo.toml".into(),
        }
    }

    #[test]
    fn what_the_lists_do_not_allow_is_named() {
        let fine = package("fine", Some("MIT"), Some("registry+somewhere"));
        let bad = package("openssl", Some("GPL-3.0-only"), Some("git+somewhere"));
        for (judge, expected) in [
            (license_of as fn(&Package) -> Option<String>, "GPL-3.0-only"),
            (source_of, "git+somewhere"),
            (ban_of, "rustls"),
        ] {
            assert_eq!(judge(&fine), None);
            let problem = judge(&bad).unwrap();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(license_of(&package("bare", None, None)).is_some());
        assert_eq!(source_of(&package("ours", Some("MIT"), None)), None);
    }
}
