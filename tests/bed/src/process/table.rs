//! What the kernel says about processes and mounts, read from /proc.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::MARK;

/// When the process started, in clock ticks after boot; `None` if it is gone or a zombie.
pub fn start_time(pid: i32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether there is a process with this number, ended or not.
pub fn is_listed(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The one child of a process that has forked once; `None` if there is none yet.
pub fn only_child(pid: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The processes that carry the bed's mark.
pub fn marked() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_marked(*pid))
        .collect()
}

/// Ends the process if it carries the bed's mark; says whether it did. A handle is opened first and
/// the mark read after, so the signal can't reach a later process with the same number.
pub fn kill_if_marked(pid: i32) -> Result<bool> {
    let Some(handle) = Pid::from_raw(pid) else {
        return Ok(false);
    };
    let handle = match pidfd_open(handle, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("can't open process {pid}")),
    };
    if !is_marked(pid) {
        return Ok(false);
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("can't end process {pid}")),
    }
}

fn is_marked(pid: i32) -> bool {
    // A zombie's environment is empty: it counts as gone.
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    let name = format!("{MARK}=");
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable.starts_with(name.as_bytes()))
}

/// The start time in a `/proc/PID/stat` line; nothing for a zombie. The second field is the
/// program's name in parentheses and may hold spaces and parentheses itself.
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    // proc(5): the state is field 3, the start time field 22.
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let rest = "1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100 200";
        assert_eq!(parse_stat(&format!("42 (a) b (c)) S {rest}")), Some(4711));
        assert_eq!(
            parse_stat(&format!("42 (gone) Z {rest}")),
            None,
            "a zombie has ended"
        );
        assert_eq!(parse_stat("42"), None);
    }

    #[test]
    fn this_process_is_alive_and_not_marked() {
        let own = super::super::Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_alive());
        assert!(
            !super::super::Identity {
                start: own.start + 1,
                ..own
            }
            .is_alive(),
            "a recycled pid is another process"
        );
        assert!(
            !kill_if_marked(own.pid).unwrap(),
            "what is not ours is never ended"
        );
    }
}
