//! A control group with a limit of memory, as a container has it; version 1 and version 2.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::eventually;

/// Where control groups are mounted, and memory's in version 1.
const MOUNTED: [&str; 2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];

/// How long the kernel may take to let go of the processes that were in it.
const PATIENCE: Duration = Duration::from_secs(10);

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A control group; it goes with this value, when nothing is in it any more.
#[derive(Debug)]
pub struct MemoryGroup(PathBuf);

// === impl MemoryGroup ===

impl MemoryGroup {
    /// Makes a group whose processes may have this many bytes together, and no more.
    ///
    /// # Errors
    ///
    /// This is not root, or no control groups are mounted.
    pub fn make(limit: u64) -> Result<Self> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ebb-test-{}-{number}", std::process::id());
        let mounted = MOUNTED
            .into_iter()
            .find(|folder| Path::new(folder).is_dir());
        let mounted = Path::new(mounted.context("no control groups are mounted")?);
        // In version 1 there is no such file, and nothing to allow.
        let allow = mounted.join("cgroup.subtree_control");
        if allow.exists() {
            fs::write(&allow, "+memory").context("memory can't be limited")?;
        }
        let group = Self(mounted.join(name));
        fs::create_dir(&group.0).context("can't make a control group: is this root?")?;
        let file = group.one_of(["memory.max", "memory.limit_in_bytes"])?;
        fs::write(&file, limit.to_string())
            .with_context(|| format!("can't write {}", file.display()))?;
        Ok(group)
    }

    /// The line of shell by which a shell enters it.
    pub fn enter(&self) -> String {
        format!("echo $$ > {}", self.0.join("cgroup.procs").display())
    }

    /// How much memory is used, the kernel's part included, in bytes.
    pub fn used(&self) -> Result<u64> {
        let file = self.one_of(["memory.current", "memory.usage_in_bytes"])?;
        Ok(fs::read_to_string(file)?.trim().parse()?)
    }

    fn one_of(&self, names: [&str; 2]) -> Result<PathBuf> {
        let files = names.map(|name| self.0.join(name));
        let file = files.into_iter().find(|file| file.exists());
        file.with_context(|| format!("{} says nothing about memory", self.0.display()))
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let gone = || match fs::remove_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(None),
            removed => Ok(Some(removed?)),
        };
        if let Err(error) = eventually("a control group to be empty", PATIENCE, gone) {
            eprintln!("{} stays: {error:#}", self.0.display());
        }
    }
}
