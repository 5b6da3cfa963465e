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

/// An image that cargo builds from the programs of the crate of the same name.
struct Image {
    name: &'static str,
    /// The first is what it runs, and has its name.
    programs: &'static [&'static str],
}

const IMAGES: [Image; 3] = [
    Image {
        name: super::SIDECAR,
        // The second is what the webhook has copied into pods with hooks of their own.
        programs: &[super::SIDECAR, "ebb-hold"],
    },
    Image {
        name: super::CONTROLLER,
        programs: &[super::CONTROLLER],
    },
    Image {
        name: super::SAMPLE_APP,
        programs: &[super::SAMPLE_APP],
    },
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
    for image in IMAGES.iter().filter(|image| is_wanted(image.name)) {
        step(&format!("image {}", image.name), || {
            let built = static_programs(image.name, image.programs)?;
            super::record(image.name, write(image.name, &built)?)
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
    write(PAUSE, &[program])?;
    Ok(archive_path(PAUSE))
}

/// The target is named so that its flags do not reach build scripts and macros, which can't be
/// static.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds a program as it is shipped, so that it needs no shared library, and returns its path. The
/// crate has its name.
pub fn static_program(program: &str) -> Result<PathBuf> {
    let built = static_programs(program, &[program])?;
    built.into_iter().next().context("cargo built nothing")
}

/// The same for several programs of one crate.
fn static_programs(package: &str, programs: &[&str]) -> Result<Vec<PathBuf>> {
    let target = target();
    let profile = match package {
        super::SIDECAR => "sidecar",
        _ => "release",
    };
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--profile", profile, "--target", &target])
        .args(["--package", package])
        .args(programs.iter().flat_map(|program| ["--bin", program]))
        .arg("--config")
        .arg(format!(
            "target.{target}.rustflags=['-Ctarget-feature=+crt-static']"
        ))
        .arg("--target-dir")
        .arg(workspace::target());
    if command::interactive(&mut cargo)? != 0 {
        bail!("{} failed", command::line(&cargo));
    }
    let folder = workspace::target().join(target).join(profile);
    Ok(programs
        .iter()
        .map(|program| folder.join(program))
        .collect())
}

/// Writes the archive of an image with these programs, the first of which is what it runs.
fn write(name: &str, files: &[PathBuf]) -> Result<String> {
    let read = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let content = fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
        anyhow::Ok((name.into_owned(), content))
    };
    let files = files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let archive = archive::of_programs(&with_capabilities(&files))?;
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

/// The programs with the capabilities that their files have: the sidecar takes transparent sockets,
/// as a user without privileges.
fn with_capabilities(files: &[(String, Vec<u8>)]) -> Vec<Program<'_>> {
    let programs = files.iter().map(|(name, content)| Program {
        name,
        content,
        capability: (name == super::SIDECAR).then_some(&capability::VALUE),
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The images that people build by the Containerfile and those of the tests have the same
    /// capability on the same program, and on no other: without it no pod runs in the mode
    /// Transparent, and with an effective one none starts where the rules of its pod forbid it.
    #[test]
    fn the_sidecar_alone_has_the_capability_in_both_builds() {
        let containerfile = workspace::folder().join("deploy/Containerfile");
        let containerfile = fs::read_to_string(containerfile).unwrap();
        let commands = containerfile.lines().filter(|line| !line.starts_with('#'));
        let set: Vec<&str> = commands.filter(|line| line.contains("setcap")).collect();
        let program = super::super::SIDECAR;
        assert_eq!(set, [format!(" && setcap cap_net_raw+p /{program}")]);

        let names = [program, "ebb-hold", super::super::CONTROLLER];
        let files = names.map(|name| (name.to_owned(), Vec::new()));
        let programs = with_capabilities(&files).into_iter();
        let with: Vec<_> = programs
            .filter_map(|it| Some((it.name, it.capability?)))
            .collect();
        // The number of NET_RAW is 13; the lowest bit of the first word would make it effective.
        let mut permitted = [0; 20];
        permitted[3] = 2;
        permitted[5] = 1 << (13 - 8);
        assert_eq!(with, [(program, &permitted[..])]);
    }
}
