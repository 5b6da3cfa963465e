//! The node's network: a bridge that pods are plugged into, and addresses of Services that the
//! kernel turns into those of pods.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

use super::runtimes::{Runtimes, bare};
use crate::bed::command;
use crate::bed::holder::Holder;
use crate::bed::process::enter;

/// The node's own address on the bridge. 198.18.0.0/15 is set aside for tests (RFC 2544); its lower
/// half is for pods, its upper half for Services.
pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

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

/// A pod's network, plugged into the node's bridge.
#[derive(Debug)]
pub struct PodNetwork {
    holder: Holder,
    address: Ipv4Addr,
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
        // An address of its own: else it has the lowest of its ports', and when the pod with that one
        // goes, what other pods have under way to the node is lost.
        ip(&format!("link add bridge address {OWN_MAC} type bridge"))?;
        ip(&format!("address add {OWN}/16 dev bridge"))?;
        ip("link set bridge up")?;
        ip("route add 198.19.0.0/16 dev bridge")?;
        node.nft(RULES)?;
        Ok(node)
    }

    /// A network for a new pod.
    pub fn pod_network(&self) -> Result<PodNetwork> {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from_bits(FIRST_POD.to_bits() + number);
        let holder = Holder::make()?;
        let pid = holder.identity().pid;
        ip(&format!(
            "link add pod{number} type veth peer name eth0 netns {pid}"
        ))?;
        ip(&format!("link set pod{number} master bridge up"))?;
        holder.shell(&format!(
            "ip link set lo up && ip address add {address}/16 dev eth0 && ip link set eth0 up && \
             ip route add default via {OWN}"
        ))?;
        Ok(PodNetwork { holder, address })
    }

    /// Sends new connections to `service` to the pod at `new`, and none any more to `old`.
    pub fn switch(&self, service: Ipv4Addr, old: Option<Ipv4Addr>, new: Ipv4Addr) -> Result<()> {
        let element = |verb: &str, pod: Ipv4Addr| {
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

// === impl PodNetwork ===

impl PodNetwork {
    /// The pod's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The same command in the pod's network; the process that is started becomes its program.
    pub fn enter(&self, command: &Command) -> Command {
        let mut entered = enter(self.holder.identity(), &["--net"]);
        entered
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        // A program has the environment that it was given, and no other.
        bare(&mut entered);
        let set = command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        entered.envs(set);
        entered
    }
}

fn ip(arguments: &str) -> Result<()> {
    command::run(Command::new("ip").args(arguments.split(' '))).map(drop)
}
