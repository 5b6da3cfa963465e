//! How inbound connections reach the relay, and what is known of those that don't.
//!
//! All that a mode decides is one value, a [`DataPath`]. [`chain`] makes it, a pure function of
//! what is asked for and what was found; whoever else needs to know asks this value, never the
//! mode.
//!
//! | mode | file | in short |
//! |---|---|---|
//! | Transparent | [`transparent`] | the kernel hands inbound TCP over as it is, by rules of the [`init`] step |
//! | Redirect | [`redirect`] | rules that the [`init`] step wrote lead all inbound TCP to one port |
//! | NamedPorts | [`named_ports`] | Services send clients to ports of the relay's own |
//! | Observe | [`observe`] | nothing passes the relay |
//!
//! Connections that don't pass the relay are looked at through the [`kernel`]: a [`poll`]er tells
//! an [`observer`], which writes a line of the census for each.

mod chain;
mod effective;
pub mod init;
pub mod kernel;
mod named_ports;
mod observe;
pub(crate) mod observer;
pub(crate) mod poll;
mod redirect;
mod transparent;

pub(crate) use effective::Effective;

use crate::census::Way;
use crate::config::Config;
use crate::listener::{BindError, Port};
use crate::upstream::{Approach, OriginalDestination};
use ebb_api::capture::{Mode, Wanted, Why};
use init::Left;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// All that a mode decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataPath {
    /// The mode in force.
    pub(crate) mode: Mode,
    /// The relay's ports, which are opened whatever else is found: should something lead
    /// connections there after all, all of them would be refused otherwise.
    pub(crate) ports: Vec<Port>,
    /// Where the connections that arrive there were meant to go.
    pub(crate) origin: OriginalDestination,
    /// From where the app is dialed, and to where.
    pub(crate) approach: Approach,
    /// What the connections are that don't pass the relay; `None` if all pass it.
    pub(crate) uncaptured: Option<Way>,
    /// What the log says.
    pub(crate) words: &'static Words,
}

/// What the log says at moments of a drain that mean another thing in each mode.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The pod begins to drain.
    pub(crate) draining: &'static str,
    /// The last work in flight has ended.
    pub(crate) last_byte: &'static str,
    /// The deadline came with work in flight.
    pub(crate) cutting: &'static str,
    /// The drain has ended.
    pub(crate) ended: &'static str,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) wanted: Wanted,
    /// The port that redirected connections arrive at.
    pub(crate) relay_port: u16,
    /// Where all connections go; see [`Config::only_destination`].
    pub(crate) only_destination: Option<SocketAddr>,
    /// The app's ports that learn who each client is; only the relay can tell them.
    pub(crate) proxy_protocol_ports: Vec<u16>,
}

/// What was found of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// What the init step left; `None` where none was needed.
    pub(crate) init: Option<Left>,
    /// Ports of the relay that are not open, and why.
    pub(crate) shut: BTreeMap<u16, Shut>,
}

/// Why a port of the relay is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shut {
    pub(crate) why: Why,
    /// The same for people.
    pub(crate) detail: String,
}

// === impl Shut ===

impl From<&BindError> for Shut {
    fn from(error: &BindError) -> Shut {
        match error.source.kind() {
            io::ErrorKind::PermissionDenied => Shut {
                why: Why::NoCapability,
                detail: format!("{error}: the sidecar lacks the capability NET_RAW"),
            },
            _ => Shut {
                why: Why::PortTaken,
                detail: error.to_string(),
            },
        }
    }
}

// === impl Asked ===

impl From<&Config> for Asked {
    fn from(config: &Config) -> Asked {
        Asked {
            wanted: config.capture(),
            relay_port: config.relay_port,
            only_destination: config.only_destination,
            proxy_protocol_ports: config.proxy_protocol_ports().to_vec(),
        }
    }
}
