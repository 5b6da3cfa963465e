//! `cargo xtask fuzz`: each fuzz target in turn, for so long.
//!
//! The targets are in `fuzz/`, a workspace of its own. They are built with the pinned stable Rust:
//! coverage needs no nightly (see `fuzz/instrument.sh`). libFuzzer itself is C++.

mod compiler;
mod corpus;
mod log;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ebb_paths::workspace;

use crate::programs::status;
use compiler::Compiler;

/// How to fuzz.
pub(crate) struct Options {
    /// The time for each target.
    pub(crate) seconds: u64,
    /// What was found worth keeping goes into the repository.
    pub(crate) keep: bool,
    /// All of them if there is none.
    pub(crate) targets: Vec<String>,
}

/// The longest input: what breaks later breaks earlier, too.
const LONGEST: &str = "-max_len=2048";

/// Of a run, which takes less than a millisecond, but as long as a busy computer lets it wait; and
/// of the whole process, in megabytes.
const LIMITS: [&str; 2] = ["-timeout=60", "-rss_limit_mb=1024"];

/// Builds and runs the targets, also after one has failed, and names those that failed.
pub(crate) fn run(options: &Options) -> Result<u8> {
    let known = targets()?;
    if let Some(unknown) = options.targets.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no fuzz target {unknown}; there are {}",
            known.join(", ")
        );
    }
    build(&Compiler::find()?)?;
    let mut failed = Vec::new();
    for name in &known {
        if !options.targets.is_empty() && !options.targets.contains(name) {
            continue;
        }
        let target = Target::new(name)?;
        if !target.fuzz(options.seconds)? {
            failed.push(name.as_str());
        } else if options.keep {
            target.keep()?;
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    bail!("these fuzz targets failed: {}", failed.join(", "))
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let folder = workspace::folder().join("fuzz/src/bin");
    let mut names = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn build(compiler: &Compiler) -> Result<()> {
    eprintln!("==> building the fuzz targets");
    let mut build = workspace::cargo();
    build
        .args(["build", "--release", "--target-dir"])
        .arg(made())
        // Its configuration says how to instrument.
        .current_dir(workspace::folder().join("fuzz"));
    compiler.configure(&mut build);
    match status(&mut build)? {
        0 => Ok(()),
        _ => bail!("the fuzz targets do not build"),
    }
}

/// Where everything is that is made here.
fn made() -> PathBuf {
    workspace::folder().join("target/fuzz")
}

/// One fuzz target.
struct Target {
    name: String,
    /// The inputs that are in the repository, in one file.
    corpus: PathBuf,
    /// The same, a file for each.
    kept: PathBuf,
    /// What was found beside that, by this run and earlier ones.
    found: PathBuf,
    log: PathBuf,
}

impl Target {
    fn new(name: &str) -> Result<Target> {
        let target = Target {
            name: name.to_owned(),
            corpus: workspace::folder().join(format!("fuzz/corpus/{name}.corpus")),
            kept: made().join("kept").join(name),
            found: made().join("corpus").join(name),
            log: made().join(format!("{name}.log")),
        };
        for folder in [&target.found, &target.broken()] {
            make(folder)?;
        }
        corpus::unpack(&target.corpus, &target.kept)?;
        Ok(target)
    }

    /// Where inputs are that broke something.
    fn broken(&self) -> PathBuf {
        made().join("broken").join(&self.name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(made().join("release").join(&self.name));
        command.args(LIMITS).arg(LONGEST);
        command
    }

    /// Fuzzes for so long; false if something broke, which was printed then.
    fn fuzz(&self, seconds: u64) -> Result<bool> {
        eprintln!("==> {}, for {seconds} s", self.name);
        let dictionary = workspace::folder().join(format!("fuzz/dictionaries/{}.dict", self.name));
        let mut command = self.command();
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg("-print_final_stats=1")
            .arg(format!("-dict={}", dictionary.display()))
            // The slash makes it a folder.
            .arg(format!("-artifact_prefix={}/", self.broken().display()))
            .args([&self.found, &self.kept]);
        let said = log::run(&mut command, &self.log)?;
        if said.succeeded {
            eprintln!("    {}", said.summary());
            return Ok(true);
        }
        eprintln!(
            "    FAILED. The end of {}:\n{}\n    The input is in {}; to see it fail alone: {} INPUT\n    \
             Once it is mended, cargo xtask fuzz --keep puts it into the corpus if it reaches what \
             no other input does.",
            self.log.display(),
            said.end(),
            self.broken().display(),
            self.command().get_program().display(),
        );
        Ok(false)
    }

    /// Makes the repository's corpus the smallest that reaches all that was reached.
    fn keep(&self) -> Result<()> {
        let merged = made().join("merged").join(&self.name);
        if merged.exists() {
            fs::remove_dir_all(&merged)?;
        }
        make(&merged)?;
        let mut command = self.command();
        command
            .arg("-set_cover_merge=1")
            .args([&merged, &self.kept, &self.found, &self.broken()]);
        if !log::run(&mut command, &self.log)?.succeeded {
            bail!("the corpus was not merged: {}", self.log.display());
        }
        let count = corpus::pack(&merged, &self.corpus)?;
        eprintln!("    {} inputs are kept in {}", count, self.corpus.display());
        Ok(())
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))
}
