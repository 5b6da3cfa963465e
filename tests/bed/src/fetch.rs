//! Brings the programs of the bed into the cache: Debian packages unpacked there, and Kubernetes
//! and Helm built there from their Go modules. Nothing is installed into the system.

pub mod cxx;
pub mod debian;
pub mod golang;
pub mod proxies;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::folders::Folders;

/// Fetches and builds whatever the cache does not have yet. Returns the stamps of what is there.
pub fn fetch_all(folders: &Folders) -> Result<String> {
    let debian = debian::fetch(folders)?;
    let golang = golang::build_all(folders)?;
    Ok(format!("{debian}\n{golang}"))
}

/// A short name for some content.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length keeps ["ab", "c"] apart from ["a", "bc"].
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether the stamp beside a product says that it was made from the same things.
pub fn is_stamped(stamp: &Path, expected: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == expected)
}

/// The stamp is written last: a product without one is made again.
pub fn write_stamp(stamp: &Path, content: &str) -> Result<()> {
    fs::write(stamp, content).with_context(|| format!("can't write {}", stamp.display()))
}
