//! The servers in the pods: those of several languages and frameworks, each in its default set-up.
//!
//! Each answers `GET /` and `POST /` with `hello from ` and the name of its pod, most of them after
//! 20 ms of work, and shuts down on the signal that its image would be stopped with as it likes to.

use std::fmt;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::client::Client;
use super::node::PodNetwork;

/// What a client and a server speak, without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Server {
    /// The project's sample application: hyper.
    Sample,
}

// === impl Server ===

impl Server {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Sample];

    /// Those that one of these clients can speak with.
    pub fn wanted_by(clients: &[Client]) -> Vec<Self> {
        let speaks = |server: &Self, client: &Client| {
            let mut ports = server.ports().iter();
            ports.any(|(protocol, _)| *protocol == client.protocol())
        };
        let mut wanted = Self::ALL.to_vec();
        wanted.retain(|server| clients.iter().any(|client| speaks(server, client)));
        wanted
    }

    /// What it speaks, and on which port.
    pub fn ports(self) -> &'static [(Protocol, u16)] {
        match self {
            Self::Sample => &[(Protocol::Http1, 8080)],
        }
    }

    /// The signal that asks it to shut down.
    pub fn stop_signal(self) -> Signal {
        match self {
            Self::Sample => Signal::TERM,
        }
    }

    /// The server as the app of a pod.
    pub fn command(self, plan: &Plan, network: &PodNetwork, pod: &str) -> Result<Command> {
        let mut command = match self {
            Self::Sample => {
                let mut command = network.command(&plan.sample_app);
                command.args(["--http", "0.0.0.0:8080", "--delay-ms", "20"]);
                command
            }
        };
        command.env("POD_NAME", pod);
        Ok(command)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
        })
    }
}
