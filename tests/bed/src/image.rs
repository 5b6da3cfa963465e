//! OCI images made without a builder: one layer of static programs.
//!
//! An archive is a pure function of its programs, so the same ones always give the same image.
//! Each image has two names: one that ends in a digest of its content, which is what a Deployment
//! should use (`IfNotPresent` then never runs yesterday's code), and `:dev` for a person to type.

pub mod archive;
pub mod build;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The short name of the sidecar's image.
pub const SIDECAR: &str = "ebb-sidecar";

/// The short name of the controller's image.
pub const CONTROLLER: &str = "ebb-controller";

/// The short name of the sample application's image.
pub const SAMPLE_APP: &str = "ebb-sample-app";

/// The names of our images as they were built last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The sidecar that the webhook injects.
    pub sidecar: String,
    /// The controller.
    pub controller: String,
    /// The web application that the suites and the demo drain.
    pub sample_app: String,
}

/// The names to put into Helm values; they are what `cargo xtask images` built last.
pub fn current() -> Result<Images> {
    let mut names = recorded();
    let mut name = |short: &str| {
        names
            .remove(short)
            .with_context(|| format!("the image {short} has not been built: cargo xtask images"))
    };
    Ok(Images {
        sidecar: name(SIDECAR)?,
        controller: name(CONTROLLER)?,
        sample_app: name(SAMPLE_APP)?,
    })
}

/// The archive that a person means by `name`: a file, or one of our images by its short name or by
/// its full one.
pub fn find(name: &str) -> Result<PathBuf> {
    if Path::new(name).is_file() {
        return Ok(PathBuf::from(name));
    }
    let short = name.strip_prefix("localhost/").unwrap_or(name);
    let short = short.split(':').next().unwrap_or(short);
    let archive = archive_path(short);
    if build::NAMES.contains(&short) && archive.is_file() {
        return Ok(archive);
    }
    if build::NAMES.contains(&short) {
        bail!("the image {short} has not been built: cargo xtask images");
    }
    bail!(
        "{name} is neither a file nor one of our images ({})",
        build::NAMES.join(", ")
    )
}

/// Opens an archive.
pub fn open(archive: &Path) -> Result<File> {
    File::open(archive).with_context(|| format!("can't open the image {}", archive.display()))
}

fn folder() -> PathBuf {
    ebb_paths::workspace::target().join("images")
}

fn archive_path(name: &str) -> PathBuf {
    folder().join(format!("{name}.tar"))
}

/// The full names by the short ones. A record that can't be read is one of nothing: what it names
/// is built again.
fn recorded() -> BTreeMap<String, String> {
    let text = fs::read(record_path()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn record(short: &str, full: String) -> Result<()> {
    let mut names = recorded();
    names.insert(short.to_owned(), full);
    let path = record_path();
    fs::write(&path, serde_json::to_vec_pretty(&names)?)
        .with_context(|| format!("can't write {}", path.display()))
}

fn record_path() -> PathBuf {
    folder().join("current.json")
}
