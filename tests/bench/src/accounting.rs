//! What the kernel says that a proxy has used.

use std::fs;
use std::ops::{Mul, Sub};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_bed::cgroup;

/// The control group of the proxy that is measured; a fixed name, so that a killed run's is found.
const GROUP: &str = "ebb-bench";

/// The processes are in a group below it: version 2 allows none where controllers are handed down.
const LEAF: &str = "proxy";

/// The unit of times in `/proc`: 1/100 s, whatever the kernel's own tick is (proc(5), USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process with all its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel on its behalf: system calls, and the network's work that they set off.
    pub system: Duration,
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

impl Mul<f64> for CpuTime {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self {
            user: self.user.mul_f64(factor),
            system: self.system.mul_f64(factor),
        }
    }
}

impl CpuTime {
    /// Both together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}

/// The CPU time that a process has used so far.
pub fn cpu_time(pid: u32) -> Result<CpuTime> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    parse_stat(&text).with_context(|| format!("{path} is not as expected: {text}"))
}

/// Makes the control group and returns the file that a process enters it by.
pub fn make_group() -> Result<PathBuf> {
    cgroup::create(GROUP)?;
    let leaf = group()?.join(LEAF);
    fs::create_dir_all(&leaf).with_context(|| format!("can't make {}", leaf.display()))?;
    Ok(leaf.join("cgroup.procs"))
}

/// Removes it; fails if there are processes in it.
pub fn remove_group() -> Result<()> {
    cgroup::remove(GROUP)
}

/// What all of the group's memory is, the kernel's share included, in bytes.
pub fn group_memory() -> Result<u64> {
    let leaf = group()?.join(LEAF);
    // Version 2, and version 1.
    for file in ["memory.current", "memory.usage_in_bytes"] {
        if let Ok(text) = fs::read_to_string(leaf.join(file)) {
            return Ok(text.trim().parse()?);
        }
    }
    bail!("{} says nothing about memory", leaf.display())
}

/// Our group where memory is accounted.
fn group() -> Result<PathBuf> {
    let mounted = PathBuf::from("/sys/fs/cgroup");
    let found = [mounted.join("memory").join(GROUP), mounted.join(GROUP)]
        .into_iter()
        .find(|folder| folder.is_dir());
    found.context("no cgroup hierarchy accounts memory here")
}

/// The second field is the program's name and may hold spaces and parentheses itself.
fn parse_stat(stat: &str) -> Option<CpuTime> {
    let (_, rest) = stat.rsplit_once(')')?;
    // proc(5): the state is field 3, utime field 14, stime field 15.
    let mut times = rest.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut next = || Some(TICK * times.next()?.ok()?);
    Some(CpuTime {
        user: next()?,
        system: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two times are found after a name that looks like more fields.
    #[test]
    fn cpu_times_are_read_after_any_name() {
        let stat = "42 (a) 1 2) S 1 1 1 0 -1 4194560 1 2 3 4 250 1000 7 8 20 0 1 0 4711 100 200";
        let expected = CpuTime {
            user: Duration::from_millis(2500),
            system: Duration::from_secs(10),
        };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_stat("42 (cut off) S 1 1"), None);
    }
}
