//! Debian packages, downloaded by apt and unpacked into the cache.
//!
//! Installing them would start services and could replace a user's Docker. apt keeps its lists and
//! archives in the cache as well, so the system's own state is only read: its sources, proxies and
//! keys count.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_netns::command;

use crate::folders::Folders;
use crate::progress::{say, step};

/// The packages whose programs the bed runs, and the libraries that these need beside the C
/// library. Dependencies are named and not resolved: apt would bring half of a system.
const PACKAGES: [&str; 16] = [
    "containerd",
    "containernetworking-plugins",
    "etcd-server",
    "nftables",
    "runc",
    "libbsd0",
    "libedit2",
    "libgmp10",
    "libjansson4",
    "libmd0",
    "libmnl0",
    "libnftables1",
    "libnftnl11",
    "libseccomp2",
    "libtinfo6",
    "libxtables12",
];

/// Unpacks the bed's packages unless that is done; returns the stamp.
pub fn fetch(folders: &Folders) -> Result<String> {
    fetch_into(
        &folders.debian(),
        &PACKAGES,
        "Debian packages: containerd, runc, etcd, CNI plugins, nftables",
    )
}

/// Unpacks packages into a folder of their own unless that is done; `what` names the step. Returns
/// the stamp.
pub fn fetch_into(folder: &Path, packages: &[&str], what: &str) -> Result<String> {
    let stamp_file = folder.join("stamp");
    let release = fs::read("/etc/os-release").unwrap_or_default();
    let stamp = super::digest(&[
        packages.join(" ").as_bytes(),
        &release,
        std::env::consts::ARCH.as_bytes(),
    ]);
    if !super::is_stamped(&stamp_file, &stamp) {
        step(what, || {
            unpack(folder, packages, None)?;
            super::write_stamp(&stamp_file, &stamp)
        })?;
    }
    Ok(stamp)
}

/// The same with packages of another release than the system's, from where the system's come from.
/// Their C library is to be among them: programs then run by its own loader.
pub fn fetch_release_into(
    folder: &Path,
    release: &str,
    packages: &[&str],
    what: &str,
) -> Result<()> {
    let stamp_file = folder.join("stamp");
    let stamp = super::digest(&[packages.join(" ").as_bytes(), release.as_bytes()]);
    if super::is_stamped(&stamp_file, &stamp) {
        return Ok(());
    }
    step(what, || {
        unpack(folder, packages, Some(release))?;
        super::write_stamp(&stamp_file, &stamp)
    })
}

/// The line of a source list for another release, beside the system's own first source.
fn source(release: &str) -> Result<String> {
    let system = fs::read_to_string("/etc/os-release")?;
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("/etc/os-release does not name Debian's release")?;
    let sources = command::run(
        Command::new("apt-get")
            .args(["indextargets", "--format", "$(REPO_URI)"])
            .args(["Identifier: Packages", "Component: main"])
            .arg(format!("Release: {system}")),
    )?;
    let first = sources.lines().next();
    let first = first.with_context(|| format!("apt knows no source of {system}'s packages"))?;
    Ok(format!(
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {first} {release} main\n"
    ))
}

fn unpack(folder: &Path, packages: &[&str], release: Option<&str>) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("can't empty {}", folder.display()))?;
    }
    let apt = folder.join("apt");
    let archives = apt.join("archives");
    for needed in [apt.join("lists/partial"), archives.join("partial")] {
        fs::create_dir_all(&needed).with_context(|| format!("can't make {}", needed.display()))?;
    }
    let list = apt.join("sources.list");
    let apt_get = || -> Result<Command> {
        let mut command = apt_get(&apt);
        if let Some(release) = release {
            fs::write(&list, source(release)?)?;
            command.arg("-o").arg(option("Dir::Etc::SourceList", &list));
            command.args(["-o", "Dir::Etc::SourceParts=/dev/null"]);
        }
        Ok(command)
    };
    // A broken source that has nothing to do with us (apt then fails as a whole) is no reason to
    // stop: what counts is whether the packages can be downloaded.
    if let Err(error) = command::run(apt_get()?.arg("update")) {
        say(format!(
            "a package source failed, going on with the others: {error:#}"
        ));
    }
    command::run(
        apt_get()?
            .arg("download")
            .args(packages)
            .current_dir(&archives),
    )
    .context("can't download Debian packages: are the apt sources and the proxy right?")?;
    for entry in fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            command::run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(folder))?;
        }
    }
    fs::remove_dir_all(&apt).with_context(|| format!("can't remove {}", apt.display()))
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

fn apt_get(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command
        .arg("--quiet=2")
        .arg("-o")
        .arg(option("Dir::State::Lists", &folder.join("lists")))
        .arg("-o")
        .arg(option("Dir::Cache", folder))
        // The download runs as root: the cache folder may be closed to apt's own user.
        .args(["-o", "APT::Sandbox::User=root"])
        .args(["-o", "Acquire::Languages=none"])
        .env("LC_ALL", "C");
    command
}
