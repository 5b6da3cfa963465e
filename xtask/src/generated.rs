//! Files that are made from others and kept in the repository. [`FILES`] is the list of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ebb_paths::workspace;

use crate::programs::bed_command;

/// A file of the repository and the command whose stdout it holds.
struct Generated {
    path: &'static str,
    command: fn() -> Result<Command>,
}

const CRD: Generated = Generated {
    path: "charts/ebb/templates/crd.yaml",
    command: crd,
};

const MANIFESTS: Generated = Generated {
    path: "deploy/ebb.yaml",
    command: manifests,
};

/// In this order: the manifests hold what the chart holds.
const FILES: [Generated; 2] = [CRD, MANIFESTS];

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    workspace::folder().join("charts/ebb")
}

/// Writes every file that is not up to date.
pub(crate) fn write() -> Result<u8> {
    for file in &FILES {
        let content = file.content()?;
        let path = workspace::folder().join(file.path);
        if fs::read_to_string(&path).is_ok_and(|found| found == content) {
            eprintln!("    {} is up to date", file.path);
            continue;
        }
        fs::write(&path, content).with_context(|| format!("can't write {}", path.display()))?;
        eprintln!("    {} is written", file.path);
    }
    Ok(0)
}

/// Fails if the chart's CRD is not what the Rust type says.
pub(crate) fn compare_crd() -> Result<()> {
    CRD.compare()
}

/// Fails if the plain manifests are not what the chart says.
pub(crate) fn compare_manifests() -> Result<()> {
    MANIFESTS.compare()
}

// === impl Generated ===

impl Generated {
    fn compare(&self) -> Result<()> {
        let found = fs::read_to_string(workspace::folder().join(self.path)).unwrap_or_default();
        if found == self.content()? {
            return Ok(());
        }
        bail!("{} is not up to date: run cargo xtask crds", self.path)
    }

    fn content(&self) -> Result<String> {
        let mut command = (self.command)()?;
        let output = command
            .output()
            .with_context(|| format!("can't make {}", self.path))?;
        if !output.status.success() {
            bail!(
                "can't make {}: {}",
                self.path,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).with_context(|| format!("{} is not UTF-8", self.path))
    }
}

/// The CRD, from the Rust type.
fn crd() -> Result<Command> {
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--package", "ebb-api"]);
    command.args(["--features", "crd", "--example", "crds"]);
    Ok(command)
}

/// What `helm install` would apply, for those who apply plain manifests.
fn manifests() -> Result<Command> {
    let mut command = bed_command()?;
    command
        .args(["local-helm", "template", "ebb"])
        .arg(chart())
        // A helm that was built from its module takes the cluster for an old one otherwise.
        .args(["--namespace", "ebb-system", "--kube-version", "1.29.0"]);
    Ok(command)
}
