//! Whether there is room for what a run writes: into the cache, and into cargo's target folder.

use ebb_paths::workspace;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a first run writes into the cache (the programs and the cluster itself, 0.8 GB), and Go
/// into its own caches, which are mostly beside it (4.6 GB).
const CACHE_GIGABYTES: u64 = 6;

/// What a first run writes into the target folder: the test bed's program (1.5 GB), the images' for
/// release (1.5 GB), and the tests.
const TARGET_GIGABYTES: u64 = 4;

/// What any later run writes into either.
const LATER_GIGABYTES: u64 = 1;

/// What is written to one folder, and how to have it written elsewhere.
struct Need {
    folder: PathBuf,
    gigabytes: u64,
    instead: &'static str,
}

/// Where room is missing.
pub(crate) fn shortage() -> Vec<String> {
    let Some(cache) = ebb_paths::cache() else {
        return vec!["no folder for the cache: set EBB_CACHE, or HOME".to_owned()];
    };
    let target = workspace::target();
    // Once the programs and the images are built, little is written any more.
    let after = |is_built: bool, first: u64| if is_built { LATER_GIGABYTES } else { first };
    let needs = [
        Need {
            gigabytes: after(cache.join("bin/helm.stamp").exists(), CACHE_GIGABYTES),
            folder: cache,
            instead: "EBB_CACHE",
        },
        Need {
            gigabytes: after(target.join("images").exists(), TARGET_GIGABYTES),
            folder: target,
            instead: "CARGO_TARGET_DIR",
        },
    ];
    let devices = needs.each_ref().map(|need| device(&need.folder));
    needs
        .iter()
        .filter_map(|need| {
            // Both may be written to the same file system.
            let here = device(&need.folder);
            let all = needs
                .iter()
                .zip(devices)
                .filter(|(_, device)| *device == here);
            let needed: u64 = all.map(|(need, _)| need.gigabytes).sum();
            let free = free_gigabytes(&need.folder)?;
            (free < needed).then(|| {
                format!(
                    "{free} GB of disk are free for {}, {needed} GB are needed on its file \
                     system: set {} to a folder elsewhere",
                    need.folder.display(),
                    need.instead
                )
            })
        })
        .collect()
}

/// The folder, or the one above it that is there already.
fn existing(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

fn device(folder: &Path) -> Option<u64> {
    Some(fs::metadata(existing(folder)?).ok()?.dev())
}

fn free_gigabytes(folder: &Path) -> Option<u64> {
    let statistics = rustix::fs::statvfs(existing(folder)?).ok()?;
    Some(statistics.f_bavail.saturating_mul(statistics.f_frsize) / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder itself need not be there: its file system is that of the one above.
    #[test]
    fn a_folder_to_come_is_on_the_file_system_of_the_one_above() {
        let to_come = workspace::folder().join("not/there/yet");
        assert_eq!(device(&to_come), device(workspace::folder()));
        assert!(free_gigabytes(&to_come).is_some());
    }
}
