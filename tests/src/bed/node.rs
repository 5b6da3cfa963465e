//! The processes of a node, their flags and their configuration files.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::certificates::inside;
use super::command;
use super::folders::{Folders, INSIDE};
use super::machine::NODES;
use super::network::{POD_RANGE, node_address, node_pod_range};
use super::process::{Component, Identity, enter, explain, library_path, wait_for};
use super::{control_plane, image};

/// Where containerd listens, inside a node.
const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// The image of every pod's first container, which holds the pod's namespaces. The bed brings it
/// along: there is no registry to get one from.
pub const PAUSE_IMAGE: &str = "localhost/ebb-pause:dev";

/// A file below the folder of configurations.
#[derive(Debug)]
pub struct File {
    /// Its path below that folder.
    pub path: String,
    /// What is in it.
    pub content: String,
}

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

/// The configuration files of a node.
pub fn files(index: usize) -> Vec<File> {
    let node = NODES[index];
    let file = |name: &str, content: String| File {
        path: format!("{node}/{name}"),
        content,
    };
    vec![
        file("containerd.toml", containerd_toml(node)),
        file("kubelet.json", format!("{:#}", kubelet_configuration(node))),
        file(
            "cni/10-ebb.conflist",
            format!("{:#}", cni_configuration(index)),
        ),
        file("resolv.conf", "# The bed has no DNS.\n".to_owned()),
    ]
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
    let result = wait_for("containerd to answer", Duration::from_secs(30), || {
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
    let result = wait_for("the nodes to be ready", Duration::from_secs(90), || {
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

fn containerd_toml(node: &str) -> String {
    let cni = inside(&format!("{node}/cni"));
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Lowering a score needs CAP_SYS_RESOURCE, which root in a container often lacks.
restrict_oom_score_adj = true
# A profile would be loaded into the kernel and outlive the bed.
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{INSIDE}/debian/usr/sbin/runc"
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{INSIDE}/debian/usr/lib/cni"
conf_dir = "{cni}"
"#
    )
}

fn kubelet_configuration(node: &str) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": inside("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": inside(&format!("{node}.kubelet.crt")),
        "tlsPrivateKeyFile": inside(&format!("{node}.kubelet.key")),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "resolvConf": inside(&format!("{node}/resolv.conf")),
        // Nothing answers there; without an address kubelet warns about every pod.
        "clusterDNS": [super::network::CLUSTER_DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroup_name(node)),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        "serializeImagePulls": false,
        // Images are loaded once and can't be pulled again: they are never collected, and a full
        // disk evicts nothing until it is really full.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    })
}

fn cni_configuration(index: usize) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "ebb",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods",
            "isGateway": true,
            "hairpinMode": true,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": "/var/lib/cni/addresses",
                "ranges": [[{"subnet": node_pod_range(index)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}
