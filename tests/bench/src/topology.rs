//! A pod and the network outside of it: the load there, proxy and backend in the pod. A new pair
//! for each measurement.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use ebb_netns::admin::Admin;
use ebb_netns::network::Network;
use ebb_netns::pod::{self, Outside, Pod};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

/// Connections that ended must not use up the ports in any of the cases: what is compared is the
/// cost of a connection. The sidecar's own remedy is tested elsewhere.
const SETTINGS: [(&str, &str); 3] = [
    ("net/ipv4/ip_local_port_range", "1024 65535"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    ("net/core/somaxconn", "4096"),
];

/// The two networks, a folder for files, and the two CPUs.
#[derive(Debug)]
pub struct Topology {
    pod: Pod,
    outside: Outside,
    folder: TempDir,
    cpus: [usize; 2],
}

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What is measured: in the pod, alone on the first CPU.
    Proxy,
    /// In the pod, on the second CPU.
    Backend,
    /// Outside of the pod, on the second CPU.
    Load,
}

// === impl Topology ===

impl Topology {
    /// Makes it, with its files below a folder; dropping it takes it away.
    pub fn make(scratch: &Path) -> Result<Self> {
        let (pod, outside) = Pod::cabled()?;
        for network in [pod.network(), outside.network()] {
            for (setting, value) in SETTINGS {
                network.set(setting, value)?;
            }
        }
        Ok(Self {
            pod,
            outside,
            folder: tempfile::tempdir_in(scratch)?,
            cpus: two_cpus()?,
        })
    }

    /// The pod.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// The address of a port of the pod.
    pub fn address(port: u16) -> SocketAddr {
        SocketAddr::new(pod::POD[0], port)
    }

    /// The admin port of a sidecar in the pod.
    pub fn admin() -> Admin {
        Admin::of(pod::POD[0])
    }

    /// A folder for configurations; it goes when the topology goes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program in a role; its arguments follow. The process that is started becomes it.
    pub fn command(&self, role: Role, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.network(role).command("taskset");
        command.args(self.on_cpu(role)).arg(program);
        command
    }

    /// What `taskset` is told to run a program on the CPU of a role.
    pub fn on_cpu(&self, role: Role) -> [String; 2] {
        ["--cpu-list".to_owned(), self.cpu(role).to_string()]
    }

    /// Does `work` on a thread in a role, and waits for it.
    pub fn inside<T: Send>(
        &self,
        role: Role,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let mut cpu = CpuSet::new();
        cpu.set(self.cpu(role));
        self.network(role).namespace().inside(|| {
            sched_setaffinity(None, &cpu)?;
            work()
        })
    }

    fn network(&self, role: Role) -> &Network {
        match role {
            Role::Load => self.outside.network(),
            Role::Proxy | Role::Backend => self.pod.network(),
        }
    }

    fn cpu(&self, role: Role) -> usize {
        match role {
            Role::Proxy => self.cpus[0],
            Role::Load | Role::Backend => self.cpus[1],
        }
    }
}

fn two_cpus() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .take(2)
        .collect();
    let Ok(cpus) = <[usize; 2]>::try_from(cpus) else {
        bail!("the benchmark needs two CPUs: one for the proxy, one for the load");
    };
    Ok(cpus)
}
