//! Python with the packages of `tests/clients/python`: the system's where it can be used, else
//! Debian's, unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_bed::fetch::{self, debian};
use ebb_bed::progress::step;
use ebb_netns::command;
use ebb_netns::namespace::bare;
use serde::{Deserialize, Serialize};

use super::libraries;

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

/// Says where the system's Python is, if it can be used: the packages need 3.11.
const PROBE: &str = "import pip, sys; assert sys.version_info >= (3, 11); print(sys.executable)";

/// A Python with pip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Python {
    program: PathBuf,
    /// The folder that its Debian packages are unpacked into, if it is not the system's.
    unpacked: Option<PathBuf>,
}

// === impl Python ===

impl Python {
    /// The system's, else Debian's.
    pub(super) fn find(unpacked: &Path) -> Result<Self> {
        let mut probe = Command::new("python3");
        if let Ok(found) = command::run(probe.args(["-c", PROBE])) {
            return Ok(Self {
                program: PathBuf::from(found.trim()),
                unpacked: None,
            });
        }
        debian::fetch_into(unpacked, &PYTHON_PACKAGES, "Debian packages: Python")
            .context("there is no python3 with pip of 3.11 or newer, and Debian's can't be had")?;
        Ok(Self {
            program: unpacked.join("usr/bin/python3.11"),
            unpacked: Some(unpacked.to_owned()),
        })
    }

    /// Python, with nothing of this process's environment.
    pub(super) fn command(&self) -> Command {
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

    /// The same for what fetches: what a person has set for that counts, such as the proxy, the
    /// registry and its certificate.
    pub(super) fn fetching(&self) -> Command {
        let mut command = self.command();
        command.envs(std::env::vars_os().filter(|(name, _)| name != "PYTHONPATH"));
        command
    }

    /// Brings the packages of a file into a folder of their own unless that is done.
    pub(super) fn install(&self, requirements: &Path, site: &Path) -> Result<()> {
        let wanted = fs::read(requirements)
            .with_context(|| format!("can't read {}", requirements.display()))?;
        let program = self.program.display().to_string();
        let stamp = fetch::digest(&[&wanted, program.as_bytes()]);
        let stamp_file = site.join("stamp");
        if fetch::is_stamped(&stamp_file, &stamp) {
            return Ok(());
        }
        step("Python packages, Node and Java among them", || {
            if site.exists() {
                fs::remove_dir_all(site)
                    .with_context(|| format!("can't empty {}", site.display()))?;
            }
            let mut pip = self.fetching();
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
