//! What `cargo xtask cluster status` shows.

use std::fmt::Write as _;

use anyhow::Result;

use super::fetch::golang::KUBERNETES;
use super::folders::Folders;
use super::machine::NODES;
use super::process::Identity;
use super::record::Record;
use super::{Bed, node};

/// The state of the bed as a text for a person, and whether all of it runs.
pub fn describe() -> Result<(String, bool)> {
    let mut text = String::new();
    let Some(record) = Record::read() else {
        writeln!(
            text,
            "There is no cluster. Bring one up: cargo xtask cluster up"
        )?;
        return Ok((text, false));
    };
    let folders = Folders::at(&record.cache);
    let well = record.complete && record.dead().is_empty();
    let state = match (record.complete, well) {
        (false, _) => "did not come up to its end: cargo xtask cluster up",
        (true, false) => "is broken: cargo xtask cluster up",
        (true, true) => "is up",
    };
    writeln!(text, "The cluster (Kubernetes {KUBERNETES}) {state}")?;
    writeln!(text, "  cache       {}", folders.cache().display())?;
    writeln!(
        text,
        "  kubeconfig  {} (in the control plane's network only)",
        folders.kubeconfig().display()
    )?;
    writeln!(text, "\n{:<36}{:<9}{:>8}  LOG", "PROCESS", "STATE", "PID")?;
    for (name, process) in &record.machines {
        write_process(&mut text, &format!("{name}.machine"), *process, &folders)?;
    }
    for (name, process) in &record.processes {
        write_process(&mut text, name, *process, &folders)?;
    }
    if well {
        let bed = Bed::attach()?;
        writeln!(text, "\n{}", bed.kubectl(&["get", "nodes", "-o", "wide"])?)?;
        for name in NODES {
            let images = node::image_names(record.machine(name)?)?;
            writeln!(text, "images on {name}: {}", images.join(", "))?;
        }
        writeln!(text, "\nhelm {}", bed.helm(&["version", "--short"])?.trim())?;
        for program in ["containerd", "etcd", "runc"] {
            writeln!(
                text,
                "{}",
                node::version(record.machine(NODES[0])?, program)?
            )?;
        }
    }
    Ok((text, well))
}

fn write_process(
    text: &mut String,
    name: &str,
    process: Identity,
    folders: &Folders,
) -> Result<()> {
    let state = if process.is_alive() {
        "running"
    } else {
        "ended"
    };
    let log = folders.logs().join(format!("{name}.log"));
    writeln!(
        text,
        "{name:<36}{state:<9}{:>8}  {}",
        process.pid,
        log.display()
    )?;
    Ok(())
}
