//! The programs and packages of other languages that clients and servers need: brought into the
//! cache, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::client::programs;
use crate::bed::command;
use crate::bed::fetch::{self, debian};
use crate::bed::folders::Folders;
use crate::bed::progress::step;

/// curl, with the libraries that a small Debian does not have.
const PACKAGES: [&str; 26] = [
    "curl",
    "libbrotli1",
    "libcom-err2",
    "libcurl4",
    "libffi8",
    "libgmp10",
    "libgnutls30",
    "libgssapi-krb5-2",
    "libhogweed6",
    "libidn2-0",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libldap-2.5-0",
    "libnettle8",
    "libnghttp2-14",
    "libp11-kit0",
    "libpsl5",
    "librtmp1",
    "libsasl2-2",
    "libssh2-1",
    "libssl3",
    "libtasn1-6",
    "libunistring2",
    "libzstd1",
];

/// Python with pip, for where the system's can't be used.
const PYTHON_PACKAGES: [&str; 14] = [
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "python3-distutils",
    "python3-pip",
    "python3.11",
    "python3.11-minimal",
    "zlib1g",
];

/// Says where the system's Python is, if it can be used: the packages need 3.10.
const PROBE: &str = "import pip, sys; assert sys.version_info >= (3, 10); print(sys.executable)";

/// Where everything is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runtimes {
    /// The Debian packages of the bed.
    bed: PathBuf,
    /// Those that are needed here only.
    debian: PathBuf,
    python: Python,
    /// The Python packages.
    site: PathBuf,
}

/// A Python with pip.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Python {
    program: PathBuf,
    /// The folder that its Debian packages are unpacked into, if it is not the system's.
    unpacked: Option<PathBuf>,
}

// === impl Runtimes ===

impl Runtimes {
    /// Fetches what the cache does not have yet into `folder`, and the bed's packages where they
    /// always are.
    pub fn fetch(folders: &Folders, folder: &Path) -> Result<Self> {
        debian::fetch(folders)?;
        let runtimes = Self {
            bed: folders.debian(),
            debian: folder.join("debian"),
            python: Python::find(&folder.join("debian-python"))?,
            site: folder.join("python"),
        };
        debian::fetch_into(&runtimes.debian, &PACKAGES, "Debian packages: curl")?;
        runtimes
            .python
            .install(&programs().join("python/requirements.txt"), &runtimes.site)?;
        Ok(runtimes)
    }

    /// nft, in the version that the bed uses.
    pub fn nft(&self) -> PathBuf {
        self.bed.join("usr/sbin/nft")
    }

    /// curl; it needs [`Runtimes::libraries`].
    pub fn curl(&self) -> PathBuf {
        self.debian.join("usr/bin/curl")
    }

    /// The value of `LD_LIBRARY_PATH` for the Debian programs.
    pub fn libraries(&self) -> String {
        libraries(&[&self.debian, &self.bed])
    }

    /// A program of `tests/clients/python`.
    pub fn python(&self, program: &str) -> Command {
        let mut command = self.python.command();
        command
            .env("PYTHONPATH", &self.site)
            .arg(programs().join("python").join(program));
        command
    }
}

// === impl Python ===

impl Python {
    /// The system's, else Debian's.
    fn find(unpacked: &Path) -> Result<Self> {
        let mut probe = Command::new("python3");
        if let Ok(found) = command::run(probe.args(["-c", PROBE])) {
            return Ok(Self {
                program: PathBuf::from(found.trim()),
                unpacked: None,
            });
        }
        debian::fetch_into(unpacked, &PYTHON_PACKAGES, "Debian packages: Python")
            .context("there is no python3 with pip of 3.10 or newer, and Debian's can't be had")?;
        Ok(Self {
            program: unpacked.join("usr/bin/python3.11"),
            unpacked: Some(unpacked.to_owned()),
        })
    }

    /// Python, with nothing of this process's environment.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        bare(&mut command);
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1");
        if let Some(unpacked) = &self.unpacked {
            command
                .env("PYTHONHOME", unpacked.join("usr"))
                .env("LD_LIBRARY_PATH", libraries(&[unpacked]));
        }
        command
    }

    /// Brings the packages of a file into a folder of their own unless that is done.
    fn install(&self, requirements: &Path, site: &Path) -> Result<()> {
        let wanted = fs::read(requirements)
            .with_context(|| format!("can't read {}", requirements.display()))?;
        let program = self.program.display().to_string();
        let stamp = fetch::digest(&[&wanted, program.as_bytes()]);
        let stamp_file = site.join("stamp");
        if fetch::is_stamped(&stamp_file, &stamp) {
            return Ok(());
        }
        step("Python packages, Node among them", || {
            if site.exists() {
                fs::remove_dir_all(site)
                    .with_context(|| format!("can't empty {}", site.display()))?;
            }
            // What a person has set for pip counts: the proxy, the registry, its certificate.
            let mut pip = self.command();
            pip.envs(std::env::vars_os().filter(|(name, _)| name != "PYTHONPATH"));
            if let Some(unpacked) = &self.unpacked {
                pip.env("PYTHONPATH", unpacked.join("usr/lib/python3/dist-packages"));
            }
            command::run(
                pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
                    .args(["--disable-pip-version-check", "--root-user-action=ignore"])
                    .args(["--only-binary=:all:", "--target"])
                    .arg(site)
                    .arg("--requirement")
                    .arg(requirements),
            )?;
            fetch::write_stamp(&stamp_file, &stamp)
        })
    }
}

/// Leaves a program nothing of this process's environment but `PATH`: neither a proxy, which could not
/// be reached from where it will run, nor what else a person has set for a library.
fn bare(command: &mut Command) {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
}

fn libraries(folders: &[&Path]) -> String {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let each = folders.iter().flat_map(|folder| {
        ["usr/lib", "lib"].map(|path| folder.join(path).join(&triple).display().to_string())
    });
    each.collect::<Vec<_>>().join(":")
}
