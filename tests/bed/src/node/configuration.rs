//! The configuration files of a node: containerd, kubelet, CNI.

use serde_json::json;

use super::{PAUSE_IMAGE, cgroup_name};
use crate::certificates::inside;
use crate::folders::INSIDE;
use crate::machine::NODES;
use crate::network::{CLUSTER_DNS_ADDRESS, node_pod_range};

/// Where containerd listens, inside a node.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// A file below the folder of configurations.
#[derive(Debug)]
pub struct File {
    /// Its path below that folder.
    pub path: String,
    /// What is in it.
    pub content: String,
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
        "clusterDNS": [CLUSTER_DNS_ADDRESS],
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
