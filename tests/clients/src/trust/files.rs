//! Where the servers' programs and their files are.
//!
//! Most of these servers give up being root, and their programs stand where only root can look. So
//! both get a place of their own that everybody can look into: in the namespace of mounts that a
//! run has for itself, or in that of a container.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_bed::fetch::debian;
use ebb_bed::folders::Folders;
use ebb_netns::command;
use ebb_netns::namespace::bare;

/// The servers, with the libraries that a small Debian does not have.
const PACKAGES: [&str; 50] = [
    "apache2-bin",
    "libapr1",
    "libaprutil1",
    "libatomic1",
    "libaudit1",
    "libcap-ng0",
    "libcap2",
    "libcom-err2",
    "libcrypt1",
    "libdb5.3",
    "libexpat1",
    "libffi8",
    "libgcrypt20",
    "libgmp10",
    "libgnutls30",
    "libgpg-error0",
    "libgssapi-krb5-2",
    "libhogweed6",
    "libicu72",
    "libidn2-0",
    "libjemalloc2",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libldap-2.5-0",
    "liblz4-1",
    "liblzf1",
    "liblzma5",
    "libnettle8",
    "libnsl2",
    "libp11-kit0",
    "libpam0g",
    "libpcre2-8-0",
    "libpq5",
    "libsasl2-2",
    "libssl3",
    "libsystemd0",
    "libtasn1-6",
    "libtirpc3",
    "libunistring2",
    "libuuid1",
    "libxml2",
    "libzstd1",
    "postfix",
    "postgresql-15",
    "redis-sentinel",
    "redis-server",
    "redis-tools",
    "zlib1g",
];

/// Their folder within the cache.
pub const FOLDER: &str = "clients/debian-servers";

/// Where everything is, as the servers see it.
pub const PLACE: &str = "/mnt";

/// Where the packages' files are, as the servers see it.
pub const PROGRAMS: &str = "/mnt/programs";

/// The variable by which the programs find their libraries, and its value.
pub const LIBRARIES: (&str, &str) = (
    "LD_LIBRARY_PATH",
    "/mnt/programs/usr/lib/x86_64-linux-gnu:/mnt/programs/lib/x86_64-linux-gnu:\
     /mnt/programs/usr/lib/postfix",
);

/// The place, in this process's namespace of mounts.
#[derive(Debug)]
pub(super) struct Files(());

/// Brings the packages into a folder unless that is done.
///
/// # Errors
///
/// They can't be had.
pub fn fetch(folders: &Folders) -> Result<()> {
    let what = "Debian packages: httpd, Postfix, PostgreSQL, Redis";
    debian::fetch_into(&folder(folders), &PACKAGES, what).map(drop)
}

/// Where they are then.
fn folder(folders: &Folders) -> PathBuf {
    folders.cache().join(FOLDER)
}

// === impl Files ===

impl Files {
    /// Makes the place.
    pub(super) fn mount() -> Result<Self> {
        let mount = |arguments: &[&str]| command::run(Command::new("mount").args(arguments));
        mount(&["-t", "tmpfs", "-o", "mode=755", "servers", PLACE])?;
        fs::create_dir(PROGRAMS).context("can't make a folder for programs")?;
        let fetched = folder(&Folders::from_environment()?);
        mount(&["--bind", &fetched.display().to_string(), PROGRAMS])?;
        Ok(Self(()))
    }

    /// A program that was fetched.
    pub(super) fn command(&self, path: &str) -> Command {
        self.command_of(&Path::new(PROGRAMS).join(path).display().to_string())
    }

    /// A shell that does this in a folder of its own, called `name`.
    pub(super) fn shell(&self, script: &str, name: &str) -> Result<Command> {
        let folder = Path::new(PLACE).join(name);
        let make = || {
            fs::create_dir_all(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))
        };
        make().with_context(|| format!("can't make {}", folder.display()))?;
        let mut command = self.command_of("sh");
        command.args(["-ec", script]).current_dir(&folder);
        Ok(command)
    }

    fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        bare(&mut command);
        command.env(LIBRARIES.0, LIBRARIES.1);
        command
    }
}
