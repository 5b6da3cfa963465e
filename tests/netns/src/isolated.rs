//! Everything below one process that is the first of namespaces of its own.

use std::path::Path;
use std::process::Command;

/// A command that runs `program` as the first process of process, mount and network namespaces of
/// its own; its arguments follow. Whatever ends this process ends that one, and with it everything
/// below it: nothing is left of a run, however it ended.
pub fn isolated(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(["--net", "--mount", "--pid", "--mount-proc"])
        .args(["--fork", "--kill-child", "--"])
        .arg(program);
    command
}
