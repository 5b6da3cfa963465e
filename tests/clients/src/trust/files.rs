//! Where the servers' programs and their files are.
//!
//! Most of these servers give up being root, and their programs stand where only root can look. So
//! both get a place of their own that everybody can look into, in the namespace of mounts that the
//! run has for itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_bed::fetch::debian;
use ebb_bed::folders::Folders;
use ebb_netns::command;
use ebb_netns::namespace::bare;

use crate::Plan;

/// The servers, with the libraries that a small Debian does not have.
const PACKAGES: [&str; 34] = [
    "apache2-bin",
    "libapr1",
    "libaprutil1",
    "libatomic1",
    "libaudit1",
    "libcap-ng0",
    "libcap2",
    "libcrypt1",
    "libdb5.3",
    "libexpat1",
    "libgcrypt20",
    "libgpg-error0",
    "libicu72",
    "libjemalloc2",
    "liblz4-1",
    "liblzf1",
    "liblzma5",
    "libnsl2",
    "libpam0g",
    "libpq5",
    "libsasl2-2",
    "libssl3",
    "libsystemd0",
    "libtirpc3",
    "libuuid1",
    "libxml2",
    "libzstd1",
    "postfix",
    "postgresql-15",
    "redis-sentinel",
    "redis-server",
    "redis-tools",
    "libcom-err2",
    "zlib1g",
];

/// Where everything is, in this run's namespace of mounts.
const PLACE: &str = "/mnt";

/// The user that has nothing, in every Debian; its group has the same number.
pub(super) const NOBODY: u32 = 65_534;

/// The place, and what programs need to run from there.
#[derive(Debug)]
pub(super) struct Files {
    programs: PathBuf,
    libraries: String,
}

/// Brings the packages into a folder unless that is done.
///
/// # Errors
///
/// They can't be had.
pub fn fetch(folders: &Folders) -> Result<()> {
    let what = "Debian packages: httpd, Postfix, PostgreSQL, Redis";
    debian::fetch_into(&folder(folders), &PACKAGES, what).map(drop)
}

fn folder(folders: &Folders) -> PathBuf {
    folders.cache().join("clients/debian-servers")
}

// === impl Files ===

impl Files {
    /// Makes the place.
    pub(super) fn mount(plan: &Plan) -> Result<Self> {
        let mount = |arguments: &[&str]| command::run(Command::new("mount").args(arguments));
        mount(&["-t", "tmpfs", "-o", "mode=755", "servers", PLACE])?;
        let programs = Path::new(PLACE).join("programs");
        fs::create_dir(&programs).context("can't make a folder for programs")?;
        let fetched = folder(&Folders::from_environment()?);
        mount(&[
            "--bind",
            &fetched.display().to_string(),
            &programs.display().to_string(),
        ])?;
        let libraries = format!(
            "{}:{}:{}",
            programs.join("usr/lib/x86_64-linux-gnu").display(),
            programs.join("usr/lib/postfix").display(),
            plan.runtimes.libraries()
        );
        Ok(Self {
            programs,
            libraries,
        })
    }

    /// Something that was fetched.
    pub(super) fn program(&self, path: &str) -> PathBuf {
        self.programs.join(path)
    }

    /// A program that was fetched.
    pub(super) fn command(&self, path: &str) -> Command {
        self.command_as(&[], path)
    }

    /// The same, run by a user who has nothing.
    pub(super) fn command_as_nobody(&self, path: &str) -> Command {
        let nobody = NOBODY.to_string();
        let words = [
            "setpriv",
            "--clear-groups",
            "--reuid",
            &nobody,
            "--regid",
            &nobody,
        ];
        self.command_as(&words, path)
    }

    fn command_as(&self, before: &[&str], path: &str) -> Command {
        let program = self.program(path).display().to_string();
        let mut words = before.iter().copied().chain([program.as_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        bare(&mut command);
        command.args(words).env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    /// A folder for one server's files, which `user` owns.
    pub(super) fn folder(&self, name: &str, user: u32) -> Result<PathBuf> {
        let folder = Path::new(PLACE).join(name);
        let make = || {
            fs::create_dir_all(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
            chown(&folder, Some(user), Some(user))
        };
        make().with_context(|| format!("can't make {}", folder.display()))?;
        Ok(folder)
    }
}
