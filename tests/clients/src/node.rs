//! The node's network: a bridge that pods are plugged into, and addresses of Services that the
//! kernel turns into those of pods.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;
use ebb_netns::pod::Pod;

use super::runtimes::Runtimes;

/// The node's own address on the bridge. 198.18.0.0/15 is set aside for tests (RFC 2544); its lower
/// half is for pods, its upper half for Services.
pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The bridge that pods are plugged into.
const BRIDGE: &str = "bridge";

/// The bridge's address of Ethernet, a local one.
const OWN_MAC: &str = "02:00:00:00:00:01";

/// Where the addresses of pods begin. Each pod has a new one, as in a cluster, where an address is
/// long unused before it comes again.
const FIRST_POD: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 0);

/// Decides for each new connection where it goes, and never again: what was begun stays with its
/// pod. kube-proxy's rules for connections from the node itself do the same.
const RULES: &str = "
table ip services {
    map backends { type ipv4_addr : ipv4_addr; }
    chain output {
        type nat hook output priority -100; policy accept;
        dnat to ip daddr map @backends;
    }
}";

/// The network of the process that made it.
#[derive(Debug)]
pub struct Node {
    nft: PathBuf,
    libraries: String,
    pods: AtomicU32,
}

// === impl Node ===

impl Node {
    /// Makes a node of the network that this process is in, which must be one of its own.
    pub fn make(runtimes: &Runtimes) -> Result<Self> {
        let node = Self {
            nft: runtimes.nft(),
            libraries: runtimes.libraries(),
            pods: AtomicU32::new(0),
        };
        ip("link set lo up")?;
        // An address of its own: else it has the lowest of its ports', and when the pod with that
        // one goes, what other pods have under way to the node is lost.
        ip(&format!("link add {BRIDGE} address {OWN_MAC} type bridge"))?;
        ip(&format!("address add {OWN}/16 dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        ip(&format!("route add 198.19.0.0/16 dev {BRIDGE}"))?;
        node.nft(RULES)?;
        Ok(node)
    }

    /// A new pod, in which nothing runs yet.
    pub fn pod(&self) -> Result<Pod> {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from_bits(FIRST_POD.to_bits() + number);
        Pod::bridged(BRIDGE, &format!("pod{number}"), address, OWN)
    }

    /// Sends new connections to `service` to the pod at `new`, and none any more to `old`.
    pub fn switch(&self, service: Ipv4Addr, old: Option<IpAddr>, new: IpAddr) -> Result<()> {
        let element = |verb: &str, pod: IpAddr| {
            format!("{verb} element ip services backends {{ {service} : {pod} }}\n")
        };
        let mut change = String::new();
        if let Some(old) = old {
            change.push_str(&element("delete", old));
        }
        change.push_str(&element("add", new));
        self.nft(&change)
    }

    /// One transaction: all of it holds from one moment on.
    fn nft(&self, rules: &str) -> Result<()> {
        let mut child = Command::new(&self.nft)
            .args(["-f", "-"])
            .env("LD_LIBRARY_PATH", &self.libraries)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", self.nft.display()))?;
        let mut input = child.stdin.take().context("the input was asked for")?;
        input.write_all(rules.as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("nft refuses {}: {}", rules.trim(), said.trim());
        }
        Ok(())
    }
}

fn ip(arguments: &str) -> Result<()> {
    command::run(Command::new("ip").args(arguments.split(' '))).map(drop)
}
