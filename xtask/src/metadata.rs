//! What cargo knows of a workspace: its packages, and what each is built with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use ebb_paths::workspace;
use serde_json::Value;

/// What our images are built for. What other systems would add is not looked at.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A workspace with everything that it is built with, tests included.
pub(crate) struct Metadata {
    packages: Vec<Package>,
}

/// A package, of ours or of a registry.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` for a folder of ours.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// The names of its test programs.
    pub(crate) tests: Vec<String>,
    pub(crate) manifest: PathBuf,
}

/// A line below `[dependencies]`, or one of its kind.
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// How the sources call it.
    pub(crate) identifier: String,
    pub(crate) is_for_tests: bool,
}

impl Metadata {
    /// Of our workspace.
    pub(crate) fn read() -> Result<Metadata> {
        Metadata::read_in(workspace::folder())
    }

    /// Of the workspace in this folder.
    pub(crate) fn read_in(folder: &Path) -> Result<Metadata> {
        let arguments = ["metadata", "--locked", "--format-version", "1"];
        let platform = ["--filter-platform", TARGET];
        let said = output(folder, &[&arguments[..], &platform].concat())?;
        let value: Value = serde_json::from_str(&said).context("cargo metadata")?;
        let packages = value["packages"].as_array().context("no packages")?;
        // The lock file has more than that: what only a feature needs that nobody asks for.
        let built = tree(folder, &["--workspace", "--edges", "normal,build,dev"])?;
        let is_built = |package: &Package| {
            let line = format!("{} v{}", package.name, package.version);
            built.contains(&line)
        };
        Ok(Metadata {
            packages: packages
                .iter()
                .filter_map(Package::read)
                .filter(is_built)
                .collect(),
        })
    }

    /// All of them.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Those of ours.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.source.is_none())
    }
}

/// The names of all packages that this one of ours is built with when it is built alone: cargo's
/// own answer, without what others of the workspace ask of a package that they share.
pub(crate) fn closure(package: &str) -> Result<BTreeSet<String>> {
    let alone = ["--package", package, "--edges", "normal,build"];
    let built = tree(workspace::folder(), &alone)?;
    let name = |line: &String| line.split(' ').next().map(str::to_owned);
    let mut names: BTreeSet<String> = built.iter().filter_map(name).collect();
    names.remove(package);
    Ok(names)
}

/// What is built: "name vVERSION" for each package.
fn tree(folder: &Path, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let always = ["tree", "--locked", "--target", TARGET, "--prefix", "none"];
    let format = ["--format", "{p}"];
    let said = output(folder, &[&always[..], &format, arguments].concat())?;
    // After the two words it says where it is, or that it is a macro.
    let words = |line: &str| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    Ok(said.lines().filter_map(words).collect())
}

fn output(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = workspace::cargo()
        .args(arguments)
        .current_dir(folder)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("cargo {}: {}", arguments.join(" "), said.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

// === impl Package ===

impl Package {
    fn read(value: &Value) -> Option<Package> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let dependencies = value["dependencies"].as_array()?;
        let targets = value["targets"].as_array()?;
        let test = |target: &Value| {
            let name = target["name"].as_str()?;
            (target["kind"][0] == "test").then(|| name.to_owned())
        };
        Some(Package {
            name: text("name")?,
            version: text("version")?,
            license: text("license"),
            source: text("source"),
            dependencies: dependencies.iter().filter_map(Dependency::read).collect(),
            tests: targets.iter().filter_map(test).collect(),
            manifest: text("manifest_path")?.into(),
        })
    }

    /// Where its Cargo.toml is.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest.parent().expect("a file is in a folder")
    }
}

// === impl Dependency ===

impl Dependency {
    fn read(value: &Value) -> Option<Dependency> {
        let name = value["name"].as_str()?;
        Some(Dependency {
            name: name.to_owned(),
            identifier: value["rename"].as_str().unwrap_or(name).replace('-', "_"),
            is_for_tests: value["kind"] == "dev",
        })
    }
}
