//! The bed's network: the machines on one bridge, pods reached through their nodes, no way out.
//!
//! ```text
//!  control-plane 198.18.0.1 --[bridge]--+-- node-1 198.18.0.11 -- pods 198.19.1.0/24
//!                                       +-- node-2 198.18.0.12 -- pods 198.19.2.0/24
//!  services 198.18.128.0/20: rules of kube-proxy, on the nodes only
//! ```
//!
//! The addresses are those that RFC 2544 sets aside for tests between devices.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::machine::NODES;
use super::process::{Identity, enter};

/// The control plane's address: the API server and the bridge.
pub const CONTROL_PLANE_ADDRESS: &str = "198.18.0.1";

/// The port of the API server.
pub const API_PORT: u16 = 6443;

/// The range of the Services' addresses.
pub const SERVICE_RANGE: &str = "198.18.128.0/20";

/// The address of the Service `kubernetes`: the first one of the range.
pub const API_SERVICE_ADDRESS: &str = "198.18.128.1";

/// Where pods are told to look names up; nothing answers there.
pub const CLUSTER_DNS_ADDRESS: &str = "198.18.128.10";

/// All pods of all nodes.
pub const POD_RANGE: &str = "198.19.0.0/16";

/// The address of the node with this index.
pub fn node_address(index: usize) -> String {
    format!("198.18.0.{}", 11 + index)
}

/// The range of the pods on the node with this index.
pub fn node_pod_range(index: usize) -> String {
    format!("198.19.{}.0/24", 1 + index)
}

/// Joins the machines: their holders are given in the order of [`NODES`].
pub fn join(control_plane: Identity, nodes: &[Identity]) -> Result<()> {
    configure(control_plane, &control_plane_lines(nodes))?;
    for (index, node) in nodes.iter().enumerate() {
        configure(*node, &node_lines(index))?;
    }
    Ok(())
}

/// All that [`join`] tells the machines, but for the numbers of their processes.
pub fn plan() -> Vec<String> {
    let nobody = [Identity { pid: 0, start: 0 }; NODES.len()];
    control_plane_lines(&nobody)
        .into_iter()
        .chain((0..NODES.len()).flat_map(node_lines))
        .collect()
}

fn control_plane_lines(nodes: &[Identity]) -> Vec<String> {
    let mut lines = vec![
        "link add bridge type bridge".to_owned(),
        format!("address add {CONTROL_PLANE_ADDRESS}/24 dev bridge"),
        "link set bridge up".to_owned(),
    ];
    for (index, (name, holder)) in NODES.iter().zip(nodes).enumerate() {
        lines.extend([
            format!(
                "link add {name} type veth peer name eth0 netns {}",
                holder.pid
            ),
            format!("link set {name} master bridge up"),
            format!(
                "route add {} via {}",
                node_pod_range(index),
                node_address(index)
            ),
        ]);
    }
    lines
}

fn node_lines(index: usize) -> Vec<String> {
    let mut lines = vec![
        format!("address add {}/24 dev eth0", node_address(index)),
        "link set eth0 up".to_owned(),
        // Leads nowhere. But a packet to a Service needs some route before kube-proxy's rules see
        // it.
        format!("route add default via {CONTROL_PLANE_ADDRESS}"),
    ];
    for other in (0..NODES.len()).filter(|other| *other != index) {
        lines.push(format!(
            "route add {} via {}",
            node_pod_range(other),
            node_address(other)
        ));
    }
    lines
}

fn configure(holder: Identity, lines: &[String]) -> Result<()> {
    let mut ip = enter(holder, &["--net"])
        .args(["ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start ip")?;
    let mut input = ip.stdin.take().context("ip has no stdin")?;
    input.write_all(lines.join("\n").as_bytes())?;
    input.write_all(b"\n")?;
    drop(input);
    let output = ip.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "can't set up the network: ip said: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_reaches_the_other_nodes_pods_through_that_node() {
        assert!(node_lines(0).contains(&"route add 198.19.2.0/24 via 198.18.0.12".to_owned()));
        assert!(node_lines(1).contains(&"route add 198.19.1.0/24 via 198.18.0.11".to_owned()));
    }
}
