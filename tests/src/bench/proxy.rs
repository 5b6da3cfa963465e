//! The proxies that are compared, each in the configuration that its own documents suggest for
//! plain forwarding: one thread, no logs, no timeouts that a benchmark would reach.

mod ebb;
mod envoy;
mod haproxy;
mod nginx;

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::accounting::{self, CpuTime};
use super::backend;
use super::case::Case;
use super::place::{Place, Role};
use super::programs::Programs;
use crate::bed::process::{explain, wait_for};

/// The port that proxies with a port of their own listen on.
const PORT: u16 = 9080;

/// How long a proxy may take until it takes connections.
const PATIENCE: Duration = Duration::from_secs(10);

/// One of the proxies, in one of its modes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// None: what the rest costs. Its latency is what the others' is counted from.
    Direct,
    /// The sidecar's release build behind its own redirect rules.
    Ebb,
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

/// A server program that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    process: Child,
    log: PathBuf,
}

/// A way to the backend.
#[derive(Debug)]
pub struct Running {
    /// Where clients connect to.
    pub address: SocketAddr,
    /// Nothing if there is no proxy.
    server: Option<Server>,
}

// === impl Proxy ===

impl Proxy {
    /// Starts it before the backend, alone in a fresh control group, and waits until it takes
    /// connections.
    pub fn start(self, place: &Place, programs: &Programs, case: Case) -> Result<Running> {
        let protocol = case.protocol();
        let address = match self {
            Self::Direct | Self::Ebb => Place::address(backend::port(protocol)),
            _ => Place::address(PORT),
        };
        if self == Self::Direct {
            return Ok(Running {
                address,
                server: None,
            });
        }
        accounting::remove_group()?;
        let group = accounting::make_group()?;
        let folder = place.folder();
        let mut command = into_group(place, &group);
        match self {
            Self::Direct => {}
            Self::Ebb => ebb::add(&mut command, place, programs, case)?,
            Self::HaproxyTcp => haproxy::TCP.add(&mut command, folder, programs, protocol)?,
            Self::HaproxySplice => haproxy::SPLICE.add(&mut command, folder, programs, protocol)?,
            Self::HaproxyHttp => haproxy::HTTP.add(&mut command, folder, programs, protocol)?,
            Self::Haproxy3Tcp => {
                haproxy::TCP
                    .of_series_3()
                    .add(&mut command, folder, programs, protocol)?;
            }
            Self::Haproxy3Http => {
                haproxy::HTTP
                    .of_series_3()
                    .add(&mut command, folder, programs, protocol)?;
            }
            Self::NginxStream => nginx::add_stream(&mut command, folder, programs, protocol)?,
            Self::NginxHttp => nginx::add_http(&mut command, folder, programs, protocol)?,
            Self::EnvoyTcp => {
                envoy::add(&mut command, folder, programs, envoy::Mode::Tcp, protocol)?
            }
            Self::EnvoyHttp => {
                envoy::add(&mut command, folder, programs, envoy::Mode::Http, protocol)?
            }
        }
        let server = Server::start(command, &self.to_string(), place)?.answering(place, address)?;
        Ok(Running {
            address,
            server: Some(server),
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Ebb => "ebb",
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

/// A command that joins the control group before it becomes the program that is added to it.
fn into_group(place: &Place, group: &std::path::Path) -> Command {
    let mut command = place.command(Role::Proxy, "sh");
    command
        .arg("-c")
        .arg("echo 0 > \"$0\" && exec \"$@\"")
        .arg(group);
    command
}

// === impl Server ===

impl Server {
    /// Starts the program, with its output in a log of that name.
    pub fn start(mut command: Command, name: &str, place: &Place) -> Result<Self> {
        let log = place.folder().join(format!("{name}.log"));
        let file = std::fs::File::create(&log)?;
        let process = command
            .current_dir(place.folder())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            process,
            log,
        })
    }

    /// Waits until it takes connections.
    pub fn answering(mut self, place: &Place, address: SocketAddr) -> Result<Self> {
        place.inside(Role::Load, || {
            wait_for(&format!("{} at {address}", self.name), PATIENCE, || {
                self.still_runs()?;
                Ok(TcpStream::connect_timeout(&address, PATIENCE).ok())
            })
            .with_context(|| explain::of_log(&self.log))
        })?;
        Ok(self)
    }

    /// Fails with the end of its log if it has ended.
    fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!(
                "{} ended: {status}{}",
                self.name,
                explain::of_log(&self.log)
            );
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about either.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Running ===

impl Running {
    /// The CPU time of the proxy so far.
    pub fn cpu_time(&self) -> Result<CpuTime> {
        accounting::cpu_time(self.pid()?)
    }

    /// The resident memory of the proxy, in bytes.
    pub fn resident(&self) -> Result<u64> {
        accounting::resident(self.pid()?)
    }

    fn pid(&self) -> Result<u32> {
        let server = self.server.as_ref();
        Ok(server.context("there is no proxy to look at")?.process.id())
    }
}
