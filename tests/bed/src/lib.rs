//! The test bed: a real two-node Kubernetes on this computer, in namespaces of its own.
//!
//! ```text
//!  fetch (programs) -> certificates -> machine (namespaces) -> network -> control_plane, node -> image
//! ```
//!
//! It needs Linux and root, and neither Docker nor a registry nor an installed Kubernetes. It
//! installs nothing: programs come into a cache folder, and what runs ends without a trace
//! (see [`machine`]).

pub mod certificates;
pub mod cgroup;
pub mod control_plane;
pub mod exit;
pub mod fetch;
pub mod folders;
pub mod image;
pub mod lock;
pub mod machine;
pub mod network;
pub mod node;
pub mod process;
pub mod progress;
pub mod record;
pub mod status;
pub mod up;

use std::process::Command;

use anyhow::{Context as _, Result};
use ebb_netns::command;
use ebb_netns::namespace::Namespace;

use folders::Folders;
use image::Images;
use machine::CONTROL_PLANE;
use process::{Identity, enter};
use record::Record;

/// A bed that runs.
#[derive(Clone, Debug)]
pub struct Bed {
    folders: Folders,
    record: Record,
}

// === impl Bed ===

impl Bed {
    /// The bed that `cargo xtask cluster up` made.
    pub fn attach() -> Result<Self> {
        let record = Record::read().context("there is no test bed: cargo xtask cluster up")?;
        anyhow::ensure!(
            record.complete,
            "the test bed did not come up to its end: cargo xtask cluster up"
        );
        record.machine(CONTROL_PLANE)?;
        Ok(Self {
            folders: Folders::at(&record.cache),
            record,
        })
    }

    /// Its folders.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// What is written down about it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Runs kubectl as an administrator and returns its stdout.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        command::run(self.kubectl_command()?.args(arguments))
    }

    /// A kubectl as an administrator; its arguments follow.
    pub fn kubectl_command(&self) -> Result<Command> {
        Ok(control_plane::kubectl(
            self.record.machine(CONTROL_PLANE)?,
            &self.folders,
        ))
    }

    /// Runs helm as an administrator and returns its stdout.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        command::run(self.helm_command()?.args(arguments))
    }

    /// A helm as an administrator; its arguments follow.
    pub fn helm_command(&self) -> Result<Command> {
        let helm = self.folders.programs().join("helm");
        let mut command = self.node_command(CONTROL_PLANE, &helm.to_string_lossy(), &[])?;
        control_plane::use_cluster(&mut command, &self.folders);
        Ok(command)
    }

    /// A shell in the control plane's network, with kubectl and helm at hand.
    pub fn shell_command(&self) -> Result<Command> {
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let mut command = self.node_command(CONTROL_PLANE, &shell, &[])?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folders.programs()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders)?);
        control_plane::use_cluster(&mut command, &self.folders);
        Ok(command)
    }

    /// The network of a machine: `node-1`, `node-2` or `control-plane`.
    pub fn network(&self, machine: &str) -> Result<Namespace> {
        Namespace::of(self.record.machine(machine)?.pid.unsigned_abs())
    }

    /// A program in the network of a machine: `node-1`, `node-2` or `control-plane`. Services are
    /// reached from nodes only.
    pub fn node_command(
        &self,
        machine: &str,
        program: &str,
        arguments: &[&str],
    ) -> Result<Command> {
        let mut command = enter(self.record.machine(machine)?, &["--net"]);
        command.arg(program).args(arguments);
        Ok(command)
    }

    /// Loads our images into every node that does not have them yet.
    pub fn load_images(&self, images: &Images) -> Result<()> {
        for image in [&images.sidecar, &images.controller, &images.sample_app] {
            let mut loaded = true;
            for node in machine::NODES {
                loaded &= node::image_names(self.record.machine(node)?)?.contains(image);
            }
            if !loaded {
                progress::step(&format!("loading {image}"), || self.load_image(image))?;
            }
        }
        Ok(())
    }

    /// Loads an image into every node: the path of an OCI archive, or the name of one of ours.
    pub fn load_image(&self, name: &str) -> Result<()> {
        let archive = image::find(name)?;
        let nodes: Vec<Identity> = machine::NODES
            .iter()
            .map(|node| self.record.machine(node))
            .collect::<Result<_>>()?;
        nodes
            .into_iter()
            .try_for_each(|node| node::import_image(node, &archive))
    }
}
