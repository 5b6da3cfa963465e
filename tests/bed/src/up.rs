//! Brings the bed up and takes it down.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;

use super::folders::Folders;
use super::lock::Lock;
use super::machine::{CONTROL_PLANE, NODES};
use super::node::configuration;
use super::process::{Component, Identity};
use super::progress::{say, step};
use super::record::Record;
use super::{
    Bed, certificates, cgroup, control_plane, fetch, folders, image, machine, network, node,
    process,
};

/// Brings the bed up, or leaves it as it is when it runs and is the one that this checkout would
/// make. `program` is the bed's own binary, which becomes the first process of each machine.
pub fn up(program: &Path) -> Result<Bed> {
    let _lock = Lock::take()?;
    let folders = Folders::from_environment()?;
    fs::create_dir_all(folders.cache())
        .with_context(|| format!("can't make the cache folder {}", folders.cache().display()))?;
    let stamps = fetch::fetch_all(&folders)?;
    let fingerprint = fingerprint(&stamps);
    match reason_to_replace(&folders, &fingerprint) {
        None => {
            say("the cluster is up");
            return Bed::attach();
        }
        Some(reason) => say(reason),
    }
    take_down()?;
    let mut record = Record::new(&folders, fingerprint);
    record.write()?;
    step("certificates and configuration", || {
        write_configuration(&folders)
    })?;
    step("machines and their network", || {
        make_machines(program, &folders, &mut record)
    })?;
    step("control plane", || {
        start_control_plane(&folders, &mut record)
    })?;
    step("nodes", || start_nodes(&folders, &mut record))?;
    record.complete = true;
    record.write()?;
    say(
        "the cluster is up: cargo xtask kubectl get nodes; cargo xtask cluster status, shell, down",
    );
    Bed::attach()
}

/// Takes the bed down, whatever state it is in; does nothing when there is none.
pub fn down() -> Result<()> {
    let _lock = Lock::take()?;
    take_down()
}

/// Names everything that a bed is made of: programs, command lines, configuration files, network.
fn fingerprint(stamps: &str) -> String {
    let nodes: Vec<_> = (0..NODES.len())
        .map(|index| {
            (
                node::containerd(index),
                node::agents(index),
                configuration::files(index),
            )
        })
        .collect();
    let parts = format!(
        "{:?}{:?}{nodes:?}{:?}",
        control_plane::api(),
        control_plane::managers(),
        network::plan()
    );
    fetch::digest(&[stamps.as_bytes(), parts.as_bytes()])
}

/// Why the bed has to be made anew, if it has to.
fn reason_to_replace(folders: &Folders, fingerprint: &str) -> Option<String> {
    let Some(record) = Record::read() else {
        return Some("there is no cluster yet".to_owned());
    };
    if !record.complete {
        return Some(
            "an earlier start of the cluster did not come to its end: starting anew".to_owned(),
        );
    }
    if record.cache != folders.cache() {
        return Some(format!(
            "the cluster that runs uses the cache {}: replacing it",
            record.cache.display()
        ));
    }
    if record.fingerprint != fingerprint {
        return Some(
            "the cluster that runs was made by another version or configuration: replacing it"
                .to_owned(),
        );
    }
    let dead = record.dead();
    if !dead.is_empty() {
        return Some(format!(
            "{} ended: starting anew (logs: {})",
            dead.join(", "),
            folders.logs().display()
        ));
    }
    let control_plane = record.machine(CONTROL_PLANE).ok()?;
    let mut readyz = control_plane::kubectl(control_plane, folders);
    match command::run(readyz.args(["get", "--raw=/readyz", "--request-timeout=5s"])) {
        Ok(_) => None,
        Err(error) => Some(format!(
            "the API server is not well: starting anew ({error:#})"
        )),
    }
}

fn take_down() -> Result<()> {
    let killed = process::kill_all()?;
    if killed > 0 {
        say(format!("ended {killed} processes of the cluster"));
    }
    for node in NODES {
        cgroup::remove(&node::cgroup_name(node))?;
    }
    if let Some(record) = Record::read() {
        folders::remove(&Folders::at(record.cache).bed())?;
    }
    folders::remove(&Folders::from_environment()?.bed())?;
    Record::remove()
}

fn write_configuration(folders: &Folders) -> Result<()> {
    let config = folders.config();
    fs::create_dir_all(&config).with_context(|| format!("can't make {}", config.display()))?;
    certificates::write_all(&config)?;
    for file in (0..NODES.len()).flat_map(configuration::files) {
        let path = config.join(file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, file.content)
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    // The logs of the run before are kept once: they say what went wrong in it.
    let previous = folders.logs().with_extension("previous");
    folders::remove(&previous)?;
    if folders.logs().exists() {
        fs::rename(folders.logs(), &previous)?;
    }
    fs::create_dir_all(folders.logs()).context("can't make the log folder")
}

fn make_machines(program: &Path, folders: &Folders, record: &mut Record) -> Result<()> {
    for name in machine::names() {
        let holder = machine::create(name, program, folders)?;
        record.machines.insert(name.to_owned(), holder);
    }
    record.write()?;
    for node in NODES {
        cgroup::create(&node::cgroup_name(node))?;
    }
    network::join(record.machine(CONTROL_PLANE)?, &holders(record)?)
}

fn start_control_plane(folders: &Folders, record: &mut Record) -> Result<()> {
    // The nodes' container runtime starts meanwhile.
    for index in 0..NODES.len() {
        start(&node::containerd(index), folders, record)?;
    }
    for component in control_plane::api() {
        start(&component, folders, record)?;
    }
    let server = process_of(record, "kube-apiserver")?;
    control_plane::wait_until_ready(record.machine(CONTROL_PLANE)?, server, folders)?;
    for component in control_plane::managers() {
        start(&component, folders, record)?;
    }
    Ok(())
}

fn start_nodes(folders: &Folders, record: &mut Record) -> Result<()> {
    let pause = image::build::pause()?;
    for (index, holder) in holders(record)?.into_iter().enumerate() {
        let containerd = process_of(record, &node::containerd(index).name)?;
        node::wait_for_containerd(holder, containerd, NODES[index], folders)?;
        node::import_image(holder, &pause)?;
        for component in node::agents(index) {
            start(&component, folders, record)?;
        }
    }
    node::wait_until_ready(record.machine(CONTROL_PLANE)?, folders)
}

fn start(component: &Component, folders: &Folders, record: &mut Record) -> Result<()> {
    let holder = record.machine(component.machine)?;
    let process = component.start(holder, &folders.logs())?;
    record.processes.insert(component.name.clone(), process);
    record.write()
}

fn holders(record: &Record) -> Result<Vec<Identity>> {
    NODES.iter().map(|node| record.machine(node)).collect()
}

fn process_of(record: &Record, name: &str) -> Result<Identity> {
    match record.processes.get(name) {
        Some(process) => Ok(*process),
        None => bail!("{name} was not started"),
    }
}
