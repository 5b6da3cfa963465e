//! The proxies that are compared, each in the configuration that its own documents suggest for
//! plain forwarding: one thread, no logs, no timeouts that a benchmark would reach.

mod ebb;
mod envoy;
mod haproxy;
mod nginx;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::capture::Mode;
use ebb_api::names::ADMIN_PORT;
use ebb_netns::process::{self, Process};
use serde::{Deserialize, Serialize};

use super::accounting::{self, CpuTime};
use super::backend;
use super::case::Case;
use super::programs::Programs;
use super::topology::{Role, Topology};

/// The port that proxies with a port of their own listen on.
const PORT: u16 = 9080;

/// How long a proxy, or the backend, may take until it takes connections.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// One of the proxies, in one of its modes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// None: what the rest costs. Its latency is what the others' is counted from.
    Direct,
    /// The sidecar's release build in the mode Transparent, with its own rules.
    Ebb,
    /// The same in the mode Redirect.
    EbbRedirect,
    /// Another build of the sidecar, in the mode Transparent.
    EbbBeside,
    /// HAProxy, forwarding bytes.
    HaproxyTcp,
    /// The same with splice(2).
    HaproxySplice,
    /// HAProxy, forwarding requests.
    HaproxyHttp,
    /// HAProxy of the series 3, forwarding bytes.
    #[value(name = "haproxy3-tcp")]
    Haproxy3Tcp,
    /// The same, forwarding requests.
    #[value(name = "haproxy3-http")]
    Haproxy3Http,
    /// nginx, forwarding bytes.
    NginxStream,
    /// nginx, forwarding requests.
    NginxHttp,
    /// Envoy, forwarding bytes.
    EnvoyTcp,
    /// Envoy, forwarding requests.
    EnvoyHttp,
}

/// What the clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    Http2,
}

/// A way to the backend.
#[derive(Debug)]
pub struct Running {
    /// Where clients connect to.
    pub address: SocketAddr,
    /// `None` if there is no proxy.
    process: Option<Process>,
}

// === impl Proxy ===

impl Proxy {
    /// Starts it before the backend, alone in a fresh control group, and waits until it takes
    /// connections.
    pub fn start(self, topology: &Topology, programs: &Programs, case: Case) -> Result<Running> {
        let protocol = case.protocol();
        let address = match self {
            Self::Direct | Self::Ebb | Self::EbbRedirect | Self::EbbBeside => {
                Topology::address(backend::port(protocol))
            }
            _ => Topology::address(PORT),
        };
        if self == Self::Direct {
            return Ok(Running {
                address,
                process: None,
            });
        }
        accounting::remove_group()?;
        let group = accounting::make_group()?;
        let folder = topology.folder();
        let joined = in_group(topology, &group);
        let mut process = match self {
            Self::Ebb | Self::EbbRedirect | Self::EbbBeside => {
                let build = self.build(programs)?;
                build.start(&joined, topology, case)?
            }
            _ => {
                let mut command = topology.pod().network().command(&joined[0]);
                command.args(&joined[1..]).current_dir(folder);
                self.add(&mut command, folder, programs, protocol)?;
                Process::start(command, &self.to_string(), folder)?
            }
        };
        topology.inside(Role::Load, || process.listening(address, PATIENCE))?;
        Ok(Running {
            address,
            process: Some(process),
        })
    }

    /// Whether it is the sidecar that is to be built.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ebb | Self::EbbRedirect)
    }

    /// The port at which it answers requests itself, where it has one.
    pub fn own_port(self) -> Option<u16> {
        match self {
            Self::Ebb | Self::EbbRedirect | Self::EbbBeside => Some(ADMIN_PORT),
            Self::HaproxyTcp
            | Self::HaproxySplice
            | Self::HaproxyHttp
            | Self::Haproxy3Tcp
            | Self::Haproxy3Http => Some(haproxy::OWN_PORT),
            Self::Direct
            | Self::NginxStream
            | Self::NginxHttp
            | Self::EnvoyTcp
            | Self::EnvoyHttp => None,
        }
    }

    /// Which build of the sidecar it is.
    fn build(self, programs: &Programs) -> Result<ebb::Build<'_>> {
        let program = match self {
            Self::EbbBeside => {
                let beside = programs.beside.as_ref();
                beside.context("no other build of the sidecar was named")?
            }
            _ => &programs.sidecar,
        };
        let mode = match self {
            Self::EbbRedirect => Mode::Redirect,
            _ => Mode::Transparent,
        };
        Ok(ebb::Build { program, mode })
    }

    /// Adds the program of another proxy, and writes its configuration.
    fn add(
        self,
        command: &mut Command,
        folder: &Path,
        programs: &Programs,
        protocol: Protocol,
    ) -> Result<()> {
        match self {
            Self::Direct | Self::Ebb | Self::EbbRedirect | Self::EbbBeside => Ok(()),
            Self::HaproxyTcp => haproxy::TCP.add(command, folder, programs, protocol),
            Self::HaproxySplice => haproxy::SPLICE.add(command, folder, programs, protocol),
            Self::HaproxyHttp => haproxy::HTTP.add(command, folder, programs, protocol),
            Self::Haproxy3Tcp => {
                let mode = haproxy::TCP.of_series_3();
                mode.add(command, folder, programs, protocol)
            }
            Self::Haproxy3Http => {
                let mode = haproxy::HTTP.of_series_3();
                mode.add(command, folder, programs, protocol)
            }
            Self::NginxStream => nginx::add_stream(command, folder, programs, protocol),
            Self::NginxHttp => nginx::add_http(command, folder, programs, protocol),
            Self::EnvoyTcp => envoy::add(command, folder, programs, envoy::Mode::Tcp, protocol),
            Self::EnvoyHttp => envoy::add(command, folder, programs, envoy::Mode::Http, protocol),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Ebb => "ebb",
            Self::EbbRedirect => "ebb-redirect",
            Self::EbbBeside => "ebb-beside",
            Self::HaproxyTcp => "haproxy-tcp",
            Self::HaproxySplice => "haproxy-splice",
            Self::HaproxyHttp => "haproxy-http",
            Self::Haproxy3Tcp => "haproxy3-tcp",
            Self::Haproxy3Http => "haproxy3-http",
            Self::NginxStream => "nginx-stream",
            Self::NginxHttp => "nginx-http",
            Self::EnvoyTcp => "envoy-tcp",
            Self::EnvoyHttp => "envoy-http",
        })
    }
}

/// The command that takes the proxy's CPU and joins the control group before it becomes the program
/// that is added to it.
fn in_group(topology: &Topology, group: &Path) -> Vec<OsString> {
    let [option, cpu] = topology.on_cpu(Role::Proxy);
    let join = "echo 0 > \"$0\" && exec \"$@\"";
    let words = ["taskset", &option, &cpu, "sh", "-c", join];
    let mut words: Vec<OsString> = words.map(OsString::from).into();
    words.push(group.into());
    words
}

// === impl Running ===

impl Running {
    /// The CPU time of the proxy so far.
    pub fn cpu_time(&self) -> Result<CpuTime> {
        accounting::cpu_time(self.pid()?)
    }

    /// The resident memory of the proxy, in bytes.
    pub fn resident(&self) -> Result<u64> {
        process::resident(self.pid()?)
    }

    fn pid(&self) -> Result<u32> {
        let process = self.process.as_ref();
        Ok(process.context("there is no proxy to look at")?.pid())
    }
}
