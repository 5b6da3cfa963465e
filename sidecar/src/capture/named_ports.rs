//! NamedPorts: the relay listens on ports that took over the names of the app's, which Services
//! send clients to. It takes no privilege, and whoever dials the app's port by its number bypasses
//! it.
//!
//! One port of several that is not open costs only its own connections.

use super::chain::{Candidate, ports_shut};
use super::{Asked, DataPath, Found, Words};
use crate::census::Way;
use crate::listener::Port;
use crate::upstream::{Approach, OriginalDestination};
use ebb_api::capture::{Mode, Step, Why};

const WORDS: Words = Words {
    draining: "draining, nothing new is accepted but what reaches the app's ports by number",
    last_byte: "last in-flight byte read",
    cutting: "deadline reached, cutting what is left but what reached the app's ports by number",
    ended: "drain ended, hooks released",
};

pub(super) fn candidate(asked: &Asked, found: &Found) -> Candidate {
    let ports = &asked.wanted.ports;
    let none = ports.is_empty().then(|| Step {
        mode: Mode::NamedPorts,
        why: Why::NoNamedPorts,
        detail: "none of the pod's TCP ports has a name that the sidecar could take over"
            .to_owned(),
    });
    Candidate {
        leads: true,
        works: none.is_none(),
        steps: none
            .into_iter()
            .chain(ports_shut(Mode::NamedPorts, found))
            .collect(),
        path: DataPath {
            mode: Mode::NamedPorts,
            ports: ports.iter().map(|port| Port::plain(port.listen)).collect(),
            origin: OriginalDestination::NamedPorts(
                ports.iter().map(|port| (port.listen, port.app)).collect(),
            ),
            approach: Approach::default(),
            uncaptured: Some(Way::Bypassing),
            words: &WORDS,
        },
    }
}
