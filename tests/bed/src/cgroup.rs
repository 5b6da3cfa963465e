//! The cgroup below which a node's kubelet puts its pods; version 1 and version 2.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_netns::eventually;

/// Makes a node's cgroup in every hierarchy.
pub fn create(name: &str) -> Result<()> {
    for hierarchy in with_controllers(hierarchies()?) {
        let folder = hierarchy.folder.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("can't make the cgroup {}", folder.display()))?;
        match hierarchy.version {
            Version::One => copy_down_cpuset(&hierarchy.folder, &folder)?,
            Version::Two => {
                enable_controllers(&hierarchy.folder)?;
                enable_controllers(&folder)?;
            }
        }
    }
    Ok(())
}

/// Removes a node's cgroup and all below it. The processes in it have been ended before; the kernel
/// may need a moment to let go of them.
pub fn remove(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let folder = hierarchy.folder.join(name);
        eventually(
            &format!("the cgroup {} to be empty", folder.display()),
            Duration::from_secs(10),
            || match remove_tree(&folder) {
                Ok(()) => Ok(Some(())),
                Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(None),
                Err(error) => Err(error)
                    .with_context(|| format!("can't remove the cgroup {}", folder.display())),
            },
        )?;
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Hierarchy {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, PartialEq)]
enum Version {
    One,
    Two,
}

fn hierarchies() -> Result<Vec<Hierarchy>> {
    let mounts =
        fs::read_to_string("/proc/self/mounts").context("can't read the list of mounts")?;
    Ok(parse_mounts(&mounts))
}

fn parse_mounts(mounts: &str) -> Vec<Hierarchy> {
    let parse = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let folder = PathBuf::from(fields.next()?);
        let version = match fields.next()? {
            "cgroup" => Version::One,
            "cgroup2" => Version::Two,
            _ => return None,
        };
        Some(Hierarchy { folder, version })
    };
    mounts.lines().filter_map(parse).collect()
}

/// The hierarchies that limit anything. Where version 1 is mounted, the controllers are there, and
/// a version 2 beside it has none; containerd makes its folders in that one all the same.
fn with_controllers(mut all: Vec<Hierarchy>) -> Vec<Hierarchy> {
    if all
        .iter()
        .any(|hierarchy| hierarchy.version == Version::One)
    {
        all.retain(|hierarchy| hierarchy.version == Version::One);
    }
    all
}

/// A new cpuset of version 1 allows no CPU and no memory until it is told.
fn copy_down_cpuset(parent: &Path, child: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read(parent.join(file)) {
            let path = child.join(file);
            fs::write(&path, value).with_context(|| format!("can't write {}", path.display()))?;
        }
    }
    Ok(())
}

/// What kubelet wants to limit pods by.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// Lets the groups below a group of version 2 use the controllers.
fn enable_controllers(folder: &Path) -> Result<()> {
    let read = |file: &str| {
        let path = folder.join(file);
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let (available, enabled) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    for controller in to_enable(&available, &enabled) {
        let path = folder.join("cgroup.subtree_control");
        fs::write(&path, format!("+{controller}"))
            .with_context(|| format!("can't enable {controller} in {}", path.display()))?;
    }
    Ok(())
}

fn to_enable(available: &str, enabled: &str) -> Vec<&'static str> {
    let has = |list: &str, wanted: &str| list.split_whitespace().any(|name| name == wanted);
    CONTROLLERS
        .into_iter()
        .filter(|name| has(available, name) && !has(enabled, name))
        .collect()
}

/// Removes a cgroup from its leaves up. Only the folders can be removed: their files are the
/// kernel's.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_beside_version_1_has_no_controllers() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let all = parse_mounts(mounts);
        assert_eq!(all.len(), 2, "both are cleaned");
        let first = Hierarchy {
            folder: "/sys/fs/cgroup/cpu".into(),
            version: Version::One,
        };
        assert_eq!(with_controllers(all), [first]);
    }

    #[test]
    fn version_2_alone_is_used() {
        let all = parse_mounts("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        let only = Hierarchy {
            folder: "/sys/fs/cgroup".into(),
            version: Version::Two,
        };
        assert_eq!(with_controllers(all), [only]);
    }

    #[test]
    fn only_what_kubelet_wants_and_lacks_is_enabled() {
        assert_eq!(
            to_enable("cpuset cpu io memory pids rdma\n", "cpu pids\n"),
            ["cpuset", "io", "memory"]
        );
    }
}
