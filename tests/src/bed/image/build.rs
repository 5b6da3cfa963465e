//! Builds the programs of our images as static binaries, and the archives from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Images, archive, archive_path, record_path};
use crate::bed::command;
use crate::bed::progress::{say, step};

/// The image of every pod's first container.
const PAUSE: &str = "ebb-pause";

/// The images that cargo builds: their crates, in this order. The program has the image's name.
const CRATES: [(&str, &str); 3] = [
    ("ebb-sidecar", "ebb-sidecar"),
    ("ebb-controller", "ebb-controller"),
    ("ebb-sample-app", "ebb-tests"),
];

/// The short names of all our images.
pub const NAMES: [&str; 4] = [PAUSE, CRATES[0].0, CRATES[1].0, CRATES[2].0];

/// Builds all images of this checkout and writes down what they are called.
pub fn all() -> Result<Images> {
    pause()?;
    let mut names = Vec::new();
    // One cargo run for each: in a common one the controller's features would be built into the
    // sidecar too.
    for (program, package) in CRATES {
        names.push(step(&format!("image {program}"), || {
            let built = static_program(program, package)?;
            write(program, &built)
        })?);
    }
    let [sidecar, controller, sample_app] =
        <[String; 3]>::try_from(names).map_err(|_| anyhow::anyhow!("an image is missing"))?;
    let images = Images {
        sidecar,
        controller,
        sample_app,
    };
    let path = record_path();
    fs::write(&path, serde_json::to_vec_pretty(&images)?)
        .with_context(|| format!("can't write {}", path.display()))?;
    Ok(images)
}

/// Builds the pause image, which a node needs before it can run any pod, and returns its archive.
/// It is one file without dependencies, so it does not wait for a crate to be built.
pub fn pause() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bed/pause/pause.rs");
    let program = super::folder().join(PAUSE);
    fs::create_dir_all(super::folder())?;
    command::run(
        Command::new("rustc")
            .args([
                "--edition=2024",
                "-Copt-level=z",
                "-Cpanic=abort",
                "-Cstrip=symbols",
            ])
            .args(["-Ctarget-feature=+crt-static", "--target", &target(), "-o"])
            .arg(&program)
            .arg(&source)
            // Here the toolchain is the one that the workspace names.
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    )?;
    write(PAUSE, &program)?;
    Ok(archive_path(PAUSE))
}

/// The folder that cargo builds into.
pub fn target_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace.join(folder),
        None => workspace.join("target"),
    }
}

/// The target is named so that its flags do not reach build scripts and macros, which can't be
/// static.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds a program of a crate so that it needs no shared library, and returns its path.
pub fn static_program(program: &str, package: &str) -> Result<PathBuf> {
    let target = target();
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--release",
            "--target",
            &target,
            "--package",
            package,
            "--bin",
            program,
        ])
        .arg("--config")
        .arg(format!(
            "target.{target}.rustflags=['-Ctarget-feature=+crt-static']"
        ))
        .arg("--target-dir")
        .arg(target_folder())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if command::interactive(&mut cargo)? != 0 {
        bail!("{} failed", command::line(&cargo));
    }
    Ok(target_folder().join(target).join("release").join(program))
}

fn write(name: &str, program: &Path) -> Result<String> {
    let bytes = fs::read(program).with_context(|| format!("can't read {}", program.display()))?;
    let archive = archive::of_program(name, &bytes)?;
    fs::create_dir_all(super::folder())?;
    let path = archive_path(name);
    fs::write(&path, &archive.bytes).with_context(|| format!("can't write {}", path.display()))?;
    let megabytes = archive.bytes.len() as f64 / 1e6;
    say(format!(
        "{}: {megabytes:.2} MB ({})",
        archive.name,
        path.display()
    ));
    Ok(archive.name)
}
