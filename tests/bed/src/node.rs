//! The processes of a node and their flags.

pub mod configuration;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;
use ebb_netns::{eventually, explain};

use super::certificates::inside;
use super::folders::{Folders, INSIDE};
use super::machine::NODES;
use super::network::{POD_RANGE, node_address};
use super::process::{Component, Identity, enter, library_path};
use super::{control_plane, image};
use configuration::CONTAINERD_SOCKET;

/// The image of every pod's first container, which holds the pod's namespaces. The bed brings it
/// along: there is no registry to get one from.
pub const PAUSE_IMAGE: &str = "localhost/ebb-pause:dev";

/// The name of a node's cgroup, in every hierarchy.
pub fn cgroup_name(node: &str) -> String {
    format!("ebb-{node}")
}

/// The node's containerd: needed by kubelet.
pub fn containerd(index: usize) -> Component {
    let node = NODES[index];
    component(
        index,
        "containerd",
        "debian/usr/bin/containerd",
        vec![format!(
            "--config={}",
            inside(&format!("{node}/containerd.toml"))
        )],
    )
}

/// What else runs on a node: started when the API server is ready.
pub fn agents(index: usize) -> [Component; 2] {
    let node = NODES[index];
    let address = node_address(index);
    let kubelet = component(
        index,
        "kubelet",
        "bin/kubelet",
        vec![
            format!("--config={}", inside(&format!("{node}/kubelet.json"))),
            format!("--kubeconfig={}", inside(&format!("{node}.kubeconfig"))),
            format!("--hostname-override={node}"),
            format!("--node-ip={address}"),
        ],
    );
    let proxy = component(
        index,
        "kube-proxy",
        "bin/kube-proxy",
        vec![
            format!("--kubeconfig={}", inside("kube-proxy.kubeconfig")),
            format!("--hostname-override={node}"),
            format!("--cluster-cidr={POD_RANGE}"),
            "--proxy-mode=nftables".to_owned(),
            // The size of the connection table is the whole computer's: left as it is.
            "--conntrack-max-per-core=0".to_owned(),
        ],
    );
    [kubelet, proxy]
}

/// Brings an archive of images into a node's containerd.
pub fn import_image(node: Identity, archive: &Path) -> Result<()> {
    let mut command = ctr(node);
    // Read from stdin: the archive may be where the machine has something else mounted.
    command
        .args(["images", "import", "--no-unpack=false", "-"])
        .stdin(image::open(archive)?);
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .context("can't start nsenter")?;
    if !output.status.success() {
        bail!(
            "containerd refused the image: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// The names of the images that a node has.
pub fn image_names(node: Identity) -> Result<Vec<String>> {
    let list = command::run(ctr(node).args(["images", "list", "--quiet"]))?;
    Ok(list
        .lines()
        .filter(|name| !name.starts_with("sha256:"))
        .map(str::to_owned)
        .collect())
}

/// What a Debian program says about its version, on one line.
pub fn version(node: Identity, program: &str) -> Result<String> {
    let mut command = enter(node, &["--net", "--mount"]);
    let folders = ["usr/bin", "usr/sbin"].map(|folder| format!("{INSIDE}/debian/{folder}"));
    command.args([
        "env",
        &format!("PATH={}", folders.join(":")),
        program,
        "--version",
    ]);
    command.env("LD_LIBRARY_PATH", library_path());
    Ok(command::run(&mut command)?
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// Waits until the node's containerd answers.
pub fn wait_for_containerd(
    node: Identity,
    process: Identity,
    name: &str,
    folders: &Folders,
) -> Result<()> {
    let result = eventually("containerd to answer", Duration::from_secs(30), || {
        if !process.is_alive() {
            bail!("containerd ended");
        }
        Ok(command::output(ctr(node).arg("version"))?
            .status
            .success()
            .then_some(()))
    });
    result.or_else(|error| {
        bail!(
            "{name}: {error}{}",
            explain::of_log(&folders.logs().join(format!("{name}.containerd.log")))
        )
    })
}

/// Waits until every node says that it is ready for pods.
pub fn wait_until_ready(control_plane: Identity, folders: &Folders) -> Result<()> {
    let condition = r#"jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}{"\n"}{end}"#;
    let mut list = String::new();
    let result = eventually("the nodes to be ready", Duration::from_secs(90), || {
        let mut command = control_plane::kubectl(control_plane, folders);
        list = command::run(command.args(["get", "nodes", "-o", condition]))?;
        let ready = list
            .lines()
            .filter(|line| line.split(' ').nth(1) == Some("True"))
            .count();
        Ok((ready == NODES.len()).then_some(()))
    });
    result.or_else(|error| {
        let logs: String = NODES
            .iter()
            .map(|node| explain::of_log(&folders.logs().join(format!("{node}.kubelet.log"))))
            .collect();
        bail!("{error}: {}{logs}", list.trim())
    })
}

fn ctr(node: Identity) -> Command {
    let mut command = enter(node, &["--net", "--mount"]);
    command
        .arg(format!("{INSIDE}/debian/usr/bin/ctr"))
        .args(["--address", CONTAINERD_SOCKET]);
    command.args(["--namespace", "k8s.io"]);
    command
}

fn component(index: usize, name: &str, program: &str, arguments: Vec<String>) -> Component {
    let machine = NODES[index];
    Component {
        name: format!("{machine}.{name}"),
        machine,
        program: format!("{INSIDE}/{program}"),
        arguments,
    }
}
