//! Where the bed keeps its things on this machine, and what they are called inside its machines.
//!
//! Everything is below one cache folder. Each machine of the bed sees that same folder as
//! [`INSIDE`], so command lines and configuration files hold short and constant paths, whatever
//! the user's cache folder is called (a unix socket's path may have 107 bytes only).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The cache folder's name inside every machine of the bed.
pub const INSIDE: &str = "/run/ebb";

/// The folders of the bed, all below one cache folder.
#[derive(Clone, Debug)]
pub struct Folders {
    cache: PathBuf,
}

impl Folders {
    /// `$EBB_CACHE`, else `$XDG_CACHE_HOME/ebb`, else `~/.cache/ebb`.
    pub fn from_environment() -> Result<Self> {
        let cache = ebb_paths::cache()
            .context("no folder for the cache: set EBB_CACHE to a folder with 6 GB to spare")?;
        Ok(Self {
            cache: std::path::absolute(cache)?,
        })
    }

    /// The folders below a cache folder that is already known.
    pub fn at(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
        }
    }

    /// All of it.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Programs built by Go, with their stamps.
    pub fn programs(&self) -> PathBuf {
        self.cache.join("bin")
    }

    /// Debian packages, unpacked.
    pub fn debian(&self) -> PathBuf {
        self.cache.join("debian")
    }

    /// What belongs to the cluster that runs now; `down` removes it.
    pub fn bed(&self) -> PathBuf {
        self.cache.join("bed")
    }

    /// Configuration files and certificates of the cluster that runs now.
    pub fn config(&self) -> PathBuf {
        self.bed().join("config")
    }

    /// The one log folder: a file for each process of the bed. It outlives `down`.
    pub fn logs(&self) -> PathBuf {
        self.cache.join("logs")
    }

    /// An administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.config().join("admin.kubeconfig")
    }
}

/// Removes a folder of the bed. Refuses while something is mounted below it: deleting through a
/// mount would delete what is mounted.
pub fn remove(folder: &Path) -> Result<()> {
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").context("can't read the list of mounts")?;
    if let Some(mount) = mount_below(&mounts, folder) {
        bail!(
            "{mount} is mounted below {}: unmount it first",
            folder.display()
        );
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The first mount point at or below `folder` in the text of a mountinfo file.
fn mount_below(mountinfo: &str, folder: &Path) -> Option<String> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| point.replace("\\040", " "))
        .find(|point| Path::new(point).starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_below_a_folder_is_found() {
        let mounts = "1 2 0:1 / /cache/bed/x rw - tmpfs tmpfs rw\n1 2 0:1 / /cache/bedroom rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mount_below(mounts, Path::new("/cache/bed")).as_deref(),
            Some("/cache/bed/x")
        );
        assert_eq!(mount_below(mounts, Path::new("/cache/be")), None);
    }
}
