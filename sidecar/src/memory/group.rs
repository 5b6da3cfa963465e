//! The control group of this process, as far as memory goes: both versions of cgroups.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A limit from here on is none: version 1 says 2^63 less a page.
const NO_LIMIT: u64 = 1 << 60;

/// More than any of the files has that are read whole.
const LONGEST: usize = 8 * 1024;

/// The limit of a group, and how much of it is used, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) limit: u64,
    pub(super) used: u64,
}

/// A group's files, open.
#[derive(Debug)]
pub(super) struct Group {
    limit: File,
    used: File,
    statistics: File,
    version: &'static Version,
}

/// What is used for something else than the kernel's own records, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// What the kernel keeps of files that nobody has read lately, and lets go of before it kills
    /// anybody.
    pub(super) cached: u64,
    /// What belongs to the processes themselves: heap and stack.
    pub(super) anonymous: u64,
}

/// The names of the files, and of the lines of `memory.stat`.
#[derive(Debug)]
struct Version {
    limit: &'static str,
    used: &'static str,
    cached: &'static str,
    anonymous: &'static str,
}

/// The kernel's `Documentation/admin-guide/cgroup-v2.rst`.
static TWO: Version = Version {
    limit: "memory.max",
    used: "memory.current",
    cached: "inactive_file",
    anonymous: "anon",
};

/// The kernel's `Documentation/admin-guide/cgroup-v1/memory.rst`.
static ONE: Version = Version {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: "total_inactive_file",
    anonymous: "total_rss",
};

// === impl Usage ===

impl Usage {
    /// The same if this much of what is used can be had again at any time.
    pub(super) fn without(self, kept: u64) -> Usage {
        Usage {
            used: self.used.saturating_sub(kept),
            ..self
        }
    }
}

// === impl Group ===

impl Group {
    /// The group of this process; `None` if there is none that accounts memory, or it can't be
    /// seen.
    pub(super) fn of_this_process() -> Option<Group> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
        let folders = folders(&mounts, &membership);
        folders.iter().find_map(|folder| Group::open(folder))
    }

    pub(super) fn open(folder: &Path) -> Option<Group> {
        [&TWO, &ONE].into_iter().find_map(|version| {
            let open = |name| File::open(folder.join(name)).ok();
            Some(Group {
                limit: open(version.limit)?,
                used: open(version.used)?,
                statistics: open("memory.stat")?,
                version,
            })
        })
    }

    /// How things stand; `None` without a limit.
    pub(super) fn usage(&self) -> Option<Usage> {
        let limit = number(&text(&self.limit)?).filter(|limit| *limit < NO_LIMIT)?;
        let used = number(&text(&self.used)?)?;
        Some(Usage { limit, used })
    }

    /// What of that is not the kernel's; 0 if it does not say.
    pub(super) fn kept(&self) -> Kept {
        let text = text(&self.statistics).unwrap_or_default();
        let value = |wanted| {
            let mut values = text.lines().filter_map(|line| line.split_once(' '));
            let found = values.find(|(name, _)| *name == wanted);
            found.and_then(|(_, value)| number(value)).unwrap_or(0)
        };
        Kept {
            cached: value(self.version.cached),
            anonymous: value(self.version.anonymous),
        }
    }
}

/// What a file says now.
fn text(file: &File) -> Option<String> {
    let mut buffer = [0; LONGEST];
    // These files are made as they are read, at once from their beginning.
    let length = file.read_at(&mut buffer, 0).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// `None` for `max`.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Where the group may be, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and
/// `/proc/self/cgroup` (cgroups(7)). Where both versions are mounted, only one has the controller
/// for memory: the files tell which.
fn folders(mounts: &str, membership: &str) -> Vec<PathBuf> {
    let paths = membership.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let paths: Vec<_> = paths.collect();
    let folder = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let has = |list: &str, word| list.split(',').any(|each| each == word);
        let mut fields = file_system.split(' ');
        let path = match (fields.next()?, fields.nth(1)?) {
            ("cgroup2", _) => paths.iter().find(|(controllers, _)| controllers.is_empty()),
            ("cgroup", options) if has(options, "memory") => paths
                .iter()
                .find(|(controllers, _)| has(controllers, "memory")),
            _ => None,
        };
        // In a container either the group is all that is mounted, or the path is what it is from
        // the root of what is mounted.
        let (_, path) = path?;
        let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
        Some(Path::new(point).join(below.trim_start_matches('/')))
    };
    mounts.lines().filter_map(folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mounts: &str, membership: &str) -> Vec<PathBuf> {
        folders(mounts, membership)
    }

    /// As the usual runtimes show them in a container: version 2 with a namespace of its own, and
    /// version 1 without and with one.
    #[test]
    fn a_container_finds_its_own_group() {
        let two = "651 650 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate";
        assert_eq!(found(two, "0::/\n"), [Path::new("/sys/fs/cgroup")]);
        let one = "35 31 0:32 /kubepods/pod1/c2 /sys/fs/cgroup/memory ro master:15 - cgroup cgroup rw,memory";
        let cpu = "36 31 0:33 /kubepods/pod1/c2 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu";
        let mounts = format!("{cpu}\n{one}\n");
        let membership = "5:cpu:/kubepods/pod1/c2\n4:memory:/kubepods/pod1/c2\n0::/\n";
        let folder = Path::new("/sys/fs/cgroup/memory");
        assert_eq!(found(&mounts, membership), [folder]);
        let own = "35 31 0:32 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        assert_eq!(found(own, "4:memory:/\n"), [folder]);
    }

    /// On a host, where groups have paths; with both versions mounted each may be the one.
    #[test]
    fn a_process_of_the_host_finds_its_group() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let membership = "4:memory:/a/b\n0::/c\n";
        let folders = ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/unified/c"];
        assert_eq!(found(mounts, membership), folders.map(Path::new));
    }

    /// Whatever stands there, there is at worst no group.
    #[test]
    fn garbage_is_no_group() {
        for (mounts, membership) in [
            ("", ""),
            ("a - b", "c"),
            ("1 2 3 4 5 - cgroup2 x y", "nothing"),
            ("1 2 3 / /x - cgroup x rw,memory", "4:cpu:/a"),
        ] {
            assert_eq!(found(mounts, membership), [""; 0].map(Path::new));
        }
    }

    /// Both versions' files are read, and a group without a limit is told from one with one.
    #[test]
    fn both_versions_are_read() {
        let folder = std::env::temp_dir().join(format!("ebb-group-{}", std::process::id()));
        let write = |files: &[(&str, &str)]| {
            fs::create_dir_all(&folder).unwrap();
            for (name, text) in files {
                fs::write(folder.join(name), text).unwrap();
            }
            let group = Group::open(&folder).unwrap();
            fs::remove_dir_all(&folder).unwrap();
            group
        };
        let usage = Usage {
            limit: 4096,
            used: 1024,
        };
        let statistics = ("memory.stat", "anon 3\ninactive_file 512\nunevictable 0\n");
        let used = ("memory.current", "1024\n");
        let two = write(&[("memory.max", "4096\n"), used, statistics]);
        let kept = |cached, anonymous| Kept { cached, anonymous };
        assert_eq!((two.usage(), two.kept()), (Some(usage), kept(512, 3)));
        assert_eq!(usage.without(512).used, 512);
        let free = write(&[("memory.max", "max\n"), used, statistics]);
        assert_eq!(free.usage(), None);
        let one = |limit| {
            write(&[
                ("memory.limit_in_bytes", limit),
                ("memory.usage_in_bytes", "1024\n"),
                (
                    "memory.stat",
                    "inactive_file 1\ntotal_rss 5\ntotal_inactive_file 2\n",
                ),
            ])
        };
        assert_eq!(one("4096\n").usage(), Some(usage));
        assert_eq!(one("4096\n").kept(), kept(2, 5));
        assert_eq!(one("9223372036854771712\n").usage(), None);
    }
}
