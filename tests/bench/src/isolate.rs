//! Namespaces that end with the benchmark, and the limits that it needs.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;
use ebb_netns::isolated::isolated;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Plan;
use super::accounting;

/// The hidden command of `program` that gets the plan as JSON and runs it.
pub const INSIDE: &str = "inside";

/// The nice value of the benchmark: behind the one of threads that go before all others of its own.
const FIRST: &str = "-15";

/// Runs the plan below a process that is the first of process, mount and network namespaces of its
/// own. Whatever ends this process ends that one, and with it everything below it.
///
/// The file of the report is given by its absolute path.
pub fn run(program: &Path, plan: &Plan, report: Option<&Path>) -> Result<u8> {
    raise_file_limit()?;
    // What a killed run has left: an empty group, since its processes have ended, and their files.
    accounting::remove_group().context("is another benchmark running?")?;
    remove_folder(&plan.scratch)?;
    fs::create_dir_all(&plan.scratch)
        .with_context(|| format!("can't make {}", plan.scratch.display()))?;
    let mut isolated = isolated(program);
    isolated.arg(INSIDE).arg(serde_json::to_string(plan)?);
    if let Some(report) = report {
        isolated.arg(report);
    }
    let code = command::interactive(&mut isolated)?;
    accounting::remove_group()?;
    remove_folder(&plan.scratch)?;
    Ok(code)
}

/// Puts this process, and all that it starts, before what else the computer has to do: it disturbs
/// less then. CPU time is accounted rightly on a busy computer too, times are not.
pub fn go_first() -> Result<()> {
    // With autogroups (sched(7)) a session has a nice value, and those of its processes count among
    // themselves; without, only those count.
    rustix::process::setsid().context("can't begin a session")?;
    let autogroup = Path::new("/proc/self/autogroup");
    if autogroup.exists() {
        fs::write(autogroup, FIRST).context("can't raise the priority of a session")?;
    } else {
        let first = FIRST.parse().expect("a nice value is a number");
        rustix::process::setpriority_process(None, first).context("can't raise the priority")?;
    }
    Ok(())
}

/// Nothing is mounted below it in this namespace, and nothing of a run lives on to mount anything.
fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The most open files that a process below this one may have.
pub fn file_limit() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        })
}

/// Ten thousand connections are twenty thousand open files in a proxy.
fn raise_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("can't raise the limit of open files")?;
    if file_limit() < 1_000 {
        bail!(
            "a process may open only {} files here: raise `ulimit -Hn`",
            file_limit()
        );
    }
    Ok(())
}
