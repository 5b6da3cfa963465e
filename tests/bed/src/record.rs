//! What is written down about the bed that runs: enough to use it, to show it, and to tell whether
//! it is the one that this checkout would make.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ebb_paths::MACHINE_WIDE;
use serde::{Deserialize, Serialize};

use super::folders::Folders;
use super::process::Identity;

/// The record of one bed. It lies where every checkout finds it, whatever its cache folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The cache folder that the bed was made in.
    pub cache: PathBuf,
    /// Names everything that the bed was made of.
    pub fingerprint: String,
    /// Whether it came up to its end.
    pub complete: bool,
    /// The first process of each machine.
    pub machines: BTreeMap<String, Identity>,
    /// Every other process, by its component's name.
    pub processes: BTreeMap<String, Identity>,
}

// === impl Record ===

impl Record {
    /// A record of a bed that is about to be made.
    pub fn new(folders: &Folders, fingerprint: String) -> Self {
        Self {
            cache: folders.cache().to_owned(),
            fingerprint,
            complete: false,
            machines: BTreeMap::new(),
            processes: BTreeMap::new(),
        }
    }

    /// The record, if a bed was made. One that can't be read (an older checkout's) counts as
    /// incomplete, so that the bed is replaced.
    pub fn read() -> Option<Self> {
        let text = fs::read_to_string(path()).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes it; a reader sees the old one or the new one, never half of one.
    pub fn write(&self) -> Result<()> {
        let path = path();
        let next = path.with_extension("next");
        fs::write(&next, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("can't write {}", next.display()))?;
        fs::rename(&next, &path).with_context(|| format!("can't write {}", path.display()))
    }

    /// Forgets it.
    pub fn remove() -> Result<()> {
        match fs::remove_file(path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("can't remove the record of the bed")
            }
            _ => Ok(()),
        }
    }

    /// The first process of a machine.
    pub fn machine(&self, name: &str) -> Result<Identity> {
        let holder = self.machines.get(name).copied().with_context(|| {
            let known: Vec<_> = self.machines.keys().map(String::as_str).collect();
            format!("the bed has no machine {name}, only {}", known.join(", "))
        })?;
        anyhow::ensure!(
            holder.is_alive(),
            "the machine {name} is not running: cargo xtask cluster up"
        );
        Ok(holder)
    }

    /// The names of what should run and does not.
    pub fn dead(&self) -> Vec<&str> {
        let all = self.machines.iter().chain(&self.processes);
        all.filter(|(_, identity)| !identity.is_alive())
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

fn path() -> PathBuf {
    Path::new(MACHINE_WIDE).join("bed.json")
}
