//! Two networks joined by a cable, as a pod and its node: the load in one, proxy and backend in the
//! other. A new pair for each measurement.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::thread::{
    CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_getaffinity, sched_setaffinity,
};
use tempfile::TempDir;

use crate::bed::holder::Holder;
use crate::bed::process::enter;

/// Addresses of the range that RFC 2544 sets aside for tests between devices.
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 64, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 64, 2);

/// Connections that ended must not use up the ports in any of the cases: what is compared is the
/// cost of a connection. The sidecar's own remedy is tested elsewhere.
const SETTINGS: [(&str, &str); 3] = [
    ("net/ipv4/ip_local_port_range", "1024 65535"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    ("net/core/somaxconn", "4096"),
];

/// The two networks, a folder for files, and the two CPUs.
#[derive(Debug)]
pub struct Place {
    client: Holder,
    server: Holder,
    folder: TempDir,
    cpus: [usize; 2],
}

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What is measured: in the server's network, alone on the first CPU.
    Proxy,
    /// In the server's network, on the second CPU.
    Backend,
    /// In the client's network, on the second CPU.
    Load,
}

// === impl Place ===

impl Place {
    /// Makes it, with its files below a folder; dropping it takes it away.
    pub fn make(scratch: &Path) -> Result<Self> {
        let place = Self {
            client: Holder::make()?,
            server: Holder::make()?,
            folder: tempfile::tempdir_in(scratch)?,
            cpus: two_cpus()?,
        };
        let peer = place.server.identity().pid;
        place.client.shell(&format!(
            "ip link set lo up && ip link add load type veth peer name eth0 netns {peer} && \
             ip address add {CLIENT}/30 dev load && ip link set load up"
        ))?;
        place.server.shell(&format!(
            "ip link set lo up && ip address add {SERVER}/30 dev eth0 && ip link set eth0 up"
        ))?;
        for holder in [&place.client, &place.server] {
            for (setting, value) in SETTINGS {
                holder.shell(&format!("echo '{value}' > /proc/sys/{setting}"))?;
            }
        }
        Ok(place)
    }

    /// An address of the server with this port.
    pub fn address(port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(SERVER), port)
    }

    /// A folder for configurations; it goes when the place goes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program in a role; its arguments follow. The process that is started becomes it.
    pub fn command(&self, role: Role, program: impl AsRef<OsStr>) -> Command {
        let mut entered = enter(self.holder(role).identity(), &["--net"]);
        entered.arg("taskset").arg("--cpu-list");
        entered.arg(self.cpu(role).to_string()).arg(program);
        entered
    }

    /// Does `work` on a thread in a role, and waits for it.
    pub fn inside<T: Send>(
        &self,
        role: Role,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let path = format!("/proc/{}/ns/net", self.holder(role).identity().pid);
        let network = File::open(&path).with_context(|| format!("can't open {path}"))?;
        let mut cpu = CpuSet::new();
        cpu.set(self.cpu(role));
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
                sched_setaffinity(None, &cpu)?;
                work()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn holder(&self, role: Role) -> &Holder {
        match role {
            Role::Load => &self.client,
            Role::Proxy | Role::Backend => &self.server,
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
