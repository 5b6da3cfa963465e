//! Observe: no connection passes the relay. The pod's sockets are looked at; no client is told to
//! leave, nothing is refused and nothing is cut. It can always be had.

use super::chain::Candidate;
use super::{Asked, DataPath, Words};
use crate::census::Way;
use crate::upstream::{Approach, OriginalDestination};
use ebb_api::capture::{Mode, Step, Why};

const WORDS: Words = Words {
    draining: "draining, without a data path: nothing new is refused",
    last_byte: "nothing seen in flight any more",
    cutting: "deadline reached, what is left is left to the app's shutdown",
    ended: "drain ended, hooks released; without a data path finished is the least that was seen",
};

pub(super) fn candidate(asked: &Asked) -> Candidate {
    Candidate {
        leads: true,
        works: true,
        steps: no_proxy_protocol(&asked.proxy_protocol_ports)
            .into_iter()
            .collect(),
        path: DataPath {
            mode: Mode::Observe,
            ports: Vec::new(),
            origin: OriginalDestination::Captured {
                relay_port: asked.relay_port,
            },
            approach: Approach::default(),
            uncaptured: Some(Way::Observed),
            words: &WORDS,
        },
    }
}

/// Only the relay can tell these ports of the app who their clients are.
fn no_proxy_protocol(ports: &[u16]) -> Option<Step> {
    if ports.is_empty() {
        return None;
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    Some(Step {
        mode: Mode::Observe,
        why: Why::NoProxyProtocol,
        detail: format!(
            "no header of the PROXY protocol is written, though capture.proxyProtocolPorts names {}",
            ports.join(", ")
        ),
    })
}
