//! A machine of the bed: network, mount and process namespaces of its own, held by one process.
//!
//! That process is the first one of its process namespace, so when it ends, the kernel ends
//! everything in the machine; and since no namespace is given a name outside, its mounts and its
//! network go with it. Nothing is left, whatever was killed at whatever moment.
//!
//! Inside, `/run` is fresh and holds the cache folder as `/run/ebb`, and `/var/lib` and `/var/log`
//! are folders of the bed: kubelet, containerd and the CNI plugins find their usual paths, and the
//! computer's own stay untouched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_netns::command::run;
use ebb_netns::eventually;
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::folders::{Folders, INSIDE};
use super::process::{Identity, start_in_session};

/// The machine of the control plane.
pub const CONTROL_PLANE: &str = "control-plane";

/// The machines that pods run on.
pub const NODES: [&str; 2] = ["node-1", "node-2"];

/// The hidden command that the first process of a machine runs.
pub const INIT_COMMAND: &str = "machine-init";

/// Kernel settings that are not part of any namespace and that kubelet writes unless it finds them
/// as it wants them. Showing it files with these values keeps the computer's own settings.
const WANTED_BY_KUBELET: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// All machines.
pub fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(CONTROL_PLANE).chain(NODES)
}

/// Makes a machine and returns its first process. `program` is the bed's own binary.
pub fn create(name: &str, program: &Path, folders: &Folders) -> Result<Identity> {
    let folder = folders.bed().join(name);
    for needed in ["run", "lib", "log", "settings"] {
        let path = folder.join(needed);
        fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
    }
    let mut command = Command::new("unshare");
    command
        .args([
            "--net",
            "--mount",
            "--propagation",
            "slave",
            "--pid",
            "--mount-proc",
        ])
        .args(["--fork", "--kill-child"])
        .arg(program)
        .args([INIT_COMMAND, name])
        .arg(folders.cache());
    let log = format!("{name}.machine");
    let holder = start_in_session(&mut command, &log, name, &folders.logs())?;
    let ready = ready_file(&folder);
    let log = folders.logs().join(format!("{log}.log"));
    eventually(
        &format!("the machine {name}"),
        Duration::from_secs(10),
        || {
            if !holder.is_alive() {
                anyhow::bail!(
                    "the machine {name} ended{}",
                    ebb_netns::explain::of_log(&log)
                );
            }
            Ok(ready.exists().then_some(holder))
        },
    )
}

/// Furnishes the machine, then waits for its processes until it is killed. Runs as the first
/// process of the machine's namespaces.
pub fn init(name: &str, folders: &Folders) -> Result<()> {
    let folder = folders.bed().join(name);
    // The new /run is put together aside and then moved there: the cache may be below /run itself.
    let staged = folder.join("run");
    run(Command::new("mount")
        .args(["-t", "tmpfs", "-o", "mode=755", "tmpfs"])
        .arg(&staged))?;
    let cache = staged.join("ebb");
    fs::create_dir(&cache)?;
    bind(folders.cache(), &cache)?;
    run(mount().arg("--move").arg(&staged).arg("/run"))?;

    let folder = PathBuf::from(format!("{INSIDE}/bed/{name}"));
    bind(&folder.join("lib"), Path::new("/var/lib"))?;
    bind(&folder.join("log"), Path::new("/var/log"))?;
    for (setting, value) in WANTED_BY_KUBELET {
        let shown = folder.join("settings").join(setting.replace('/', "."));
        fs::write(&shown, format!("{value}\n"))?;
        bind(&shown, &Path::new("/proc/sys").join(setting))?;
    }
    run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")
        .context("can't let the machine forward packets")?;
    fs::write(ready_file(&folder), "")?;
    loop {
        match wait(WaitOptions::empty()) {
            Err(Errno::CHILD) => std::thread::sleep(Duration::from_secs(1)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("can't wait for the machine's processes"),
        }
    }
}

fn ready_file(folder: &Path) -> PathBuf {
    folder.join("ready")
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    run(mount().arg("--bind").arg(from).arg(to)).map(drop)
}

/// A mount that keeps no list of its own: that list would be below `/run`, which is being changed.
fn mount() -> Command {
    let mut command = Command::new("mount");
    command.arg("--no-mtab");
    command
}
