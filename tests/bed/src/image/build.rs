//! Builds the programs of our images as static binaries, and the archives from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ebb_netns::{capability, command};
use ebb_paths::workspace;

use super::archive::{self, Program};
use super::archive_path;
use crate::progress::{say, step};

/// The image of every pod's first container.
const PAUSE: &str = "ebb-pause";

/// The images that cargo builds, each from the program of the same name in a crate.
const CRATES: [(&str, &str); 3] = [
    (super::SIDECAR, "ebb-sidecar"),
    (super::CONTROLLER, "ebb-controller"),
    (super::SAMPLE_APP, "ebb-sample-app"),
];

/// The short names of all our images.
pub const NAMES: [&str; 4] = [PAUSE, super::SIDECAR, super::CONTROLLER, super::SAMPLE_APP];

/// Builds the named images of this checkout, all if none is named, and writes down what they are
/// called.
pub fn images(wanted: &[String]) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("{unknown} is not one of our images ({})", NAMES.join(", "));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if is_wanted(PAUSE) {
        pause()?;
    }
    // One cargo run for each: in a common one the controller's features would be built into the
    // sidecar too.
    for (program, package) in CRATES.into_iter().filter(|(program, _)| is_wanted(program)) {
        step(&format!("image {program}"), || {
            let name = write(program, &static_program(program, package)?)?;
            super::record(program, name)
        })?;
    }
    Ok(())
}

/// Builds the pause image, which a node needs before it can run any pod, and returns its archive.
/// It is one file without dependencies, so it does not wait for a crate to be built.
pub fn pause() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("pause/pause.rs");
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
            .current_dir(workspace::folder()),
    )?;
    write(PAUSE, &program)?;
    Ok(archive_path(PAUSE))
}

/// The target is named so that its flags do not reach build scripts and macros, which can't be
/// static.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds a program of a crate as it is shipped, so that it needs no shared library, and returns
/// its path.
pub fn static_program(program: &str, package: &str) -> Result<PathBuf> {
    let target = target();
    let profile = match program {
        super::SIDECAR => "sidecar",
        _ => "release",
    };
    let mut cargo = workspace::cargo();
    cargo
        .args([
            "build",
            "--profile",
            profile,
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
        .arg(workspace::target());
    if command::interactive(&mut cargo)? != 0 {
        bail!("{} failed", command::line(&cargo));
    }
    Ok(workspace::target().join(target).join(profile).join(program))
}

fn write(name: &str, program: &Path) -> Result<String> {
    let bytes = fs::read(program).with_context(|| format!("can't read {}", program.display()))?;
    let capability = capability::value();
    let archive = archive::of_program(&Program {
        name,
        content: &bytes,
        // It takes transparent sockets, as a user without privileges.
        capability: (name == super::SIDECAR).then_some(&capability),
    })?;
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
