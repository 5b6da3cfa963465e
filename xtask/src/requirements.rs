//! What the cluster needs of this computer: all that is missing is said at once, within seconds,
//! before anything is built. Where this is not Linux, see `unsupported.rs`.

use std::fs::{self, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use ebb_paths::LOCK;

use crate::disk;
use crate::nftables;

/// What the cluster and a build beside it use.
const MEMORY_GIGABYTES: f64 = 2.0;

/// The oldest Go that the go.mod files of Kubernetes and Helm accept.
const GO: (u32, u32) = (1, 26);

/// Since this version Go fetches the toolchain that a go.mod asks for.
const GO_WITH_TOOLCHAINS: (u32, u32) = (1, 21);

/// The programs that are expected to be there, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 9] = [
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("unshare", "util-linux"),
    ("cc", "gcc"),
    ("env", "coreutils"),
];

/// Refuses if the cluster can't run here, with everything that is in the way.
pub(crate) fn of_the_cluster() -> Result<()> {
    let mut problems = Vec::new();
    problems.extend(programs());
    problems.extend(go());
    if rustix::process::geteuid().is_root() {
        problems.extend(namespaces());
        problems.extend(nftables::missing());
    } else {
        problems.push("this is not root: namespaces and cgroups need it".to_owned());
    }
    problems.extend(kernel());
    problems.extend(memory());
    problems.extend(disk::shortage());
    problems.extend(another_run());
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "the cluster can't run here:\n  - {}",
        problems.join("\n  - ")
    )
}

/// Refuses if this is not root.
pub(crate) fn root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        bail!("this needs root, since it works with namespaces and cgroups")
    }
}

/// What is missing to compile everything: nothing here.
pub(crate) fn of_compiling() -> Option<String> {
    None
}

/// What is missing to build Helm, with which the chart is read.
pub(crate) fn of_helm() -> Option<String> {
    go()
}

/// What is missing for the tests that make network namespaces.
pub(crate) fn of_namespaces() -> Option<String> {
    let mut problems = programs_among(&["ip", "unshare"]);
    if !rustix::process::geteuid().is_root() {
        problems.push("this is not root: run it as root".to_owned());
    } else if problems.is_empty() {
        problems.extend(namespaces());
        problems.extend(nftables::missing());
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// The programs that are missing.
fn programs() -> Vec<String> {
    programs_among(&PROGRAMS.map(|(program, _)| program))
}

/// Those among these of [`PROGRAMS`].
fn programs_among(names: &[&str]) -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let missing = |program: &str| !folders.iter().any(|folder| folder.join(program).is_file());
    PROGRAMS
        .iter()
        .filter(|(program, _)| names.contains(program) && missing(program))
        .map(|(program, package)| format!("{program} is missing: apt-get install {package}"))
        .collect()
}

fn go() -> Option<String> {
    let ask = |arguments: &[&str]| {
        // Asked outside of the modules: there Go might fetch a toolchain first.
        let output = Command::new("go")
            .args(arguments)
            .current_dir("/")
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(version) = ask(&["version"]) else {
        return Some(format!(
            "go is missing: install Go {}.{} or newer from https://go.dev/dl",
            GO.0, GO.1
        ));
    };
    let toolchains = ask(&["env", "GOTOOLCHAIN"]).is_some_and(|setting| setting != "local");
    let oldest = if toolchains { GO_WITH_TOOLCHAINS } else { GO };
    match parse_go_version(&version) {
        Some(found) if found >= oldest => None,
        _ => Some(format!(
            "{version} is too old: {}.{} or newer is needed",
            oldest.0, oldest.1
        )),
    }
}

/// The numbers in the answer of `go version`: "go version go1.26.1 linux/amd64".
fn parse_go_version(answer: &str) -> Option<(u32, u32)> {
    let version = answer.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn namespaces() -> Option<String> {
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "true",
    ]);
    let output = command.stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (!output.status.success()).then(|| {
        format!("namespaces can't be made ({said}): in a container, give it all privileges")
    })
}

fn kernel() -> Vec<String> {
    let mut problems = Vec::new();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if !read("/proc/filesystems")
        .lines()
        .any(|line| line.ends_with("\toverlay"))
        && !loads("overlay")
    {
        problems.push(
            "the kernel has no overlay file system, which containers' layers need".to_owned(),
        );
    }
    if !Path::new("/proc/sys/net/bridge").exists() && !loads("br_netfilter") {
        problems.push("the kernel has no br_netfilter, which the way from a pod through a Service to its neighbor needs".to_owned());
    }
    let cgroups = |line: &str| matches!(line.split(' ').nth(2), Some("cgroup" | "cgroup2"));
    if !read("/proc/mounts").lines().any(cgroups) {
        problems.push("no cgroups are mounted below /sys/fs/cgroup".to_owned());
    }
    if std::env::consts::ARCH != "x86_64" {
        problems.push(format!(
            "the processor is {}: the cluster was tried on x86_64 only",
            std::env::consts::ARCH
        ));
    }
    problems
}

fn loads(module: &str) -> bool {
    let mut command = Command::new("modprobe");
    command
        .arg(module)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let gigabytes = kilobytes / 1e6;
    (gigabytes < MEMORY_GIGABYTES).then(|| {
        format!("{gigabytes:.1} GB of memory are available, {MEMORY_GIGABYTES} GB are needed")
    })
}

fn another_run() -> Option<String> {
    let file = OpenOptions::new().read(true).open(LOCK).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(LOCK).unwrap_or_default();
            Some(format!(
                "another run is changing the test bed: process {}",
                pid.trim()
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_paths::workspace;

    #[test]
    fn the_version_of_go_is_compared_as_numbers() {
        assert_eq!(
            parse_go_version("go version go1.26.1 linux/amd64"),
            Some((1, 26))
        );
        assert_eq!(
            parse_go_version("go version go1.9rc2 linux/amd64"),
            Some((1, 9))
        );
        assert_eq!(parse_go_version("go version devel"), None);
        assert!((1, 9) < GO);
    }

    #[test]
    fn the_oldest_go_is_the_one_that_the_modules_ask_for() {
        let oldest = |module: &str| {
            let path = format!("tests/bed/{module}/go.mod");
            let text = fs::read_to_string(workspace::folder().join(&path)).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("go "));
            let version = line.unwrap_or_else(|| panic!("{path} names no version"));
            let mut numbers = version.split('.').map(|number| number.parse().unwrap());
            (numbers.next().unwrap(), numbers.next().unwrap())
        };
        assert_eq!(oldest("kubernetes").max(oldest("helm")), GO);
    }
}
