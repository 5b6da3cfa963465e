//! Redirect: rules in the pod's network namespace lead all inbound TCP to one port of the relay.
//!
//! They hold only if the [`init`](super::init) step could write them, and are worth something only
//! while that port is open: nothing is redirected to a port that somebody else has.

use super::chain::{Candidate, no_rules, ports_shut};
use super::init::{InitResult, Left, Selection};
use super::{Asked, DataPath, Found, Words};
use crate::listener::Port;
use crate::upstream::{Approach, OriginalDestination};
use ebb_api::capture::{Mode, Step, Why};

const WORDS: Words = Words {
    draining: "draining, nothing new is accepted",
    last_byte: "last in-flight byte read",
    cutting: "deadline reached, cutting what is left",
    ended: "drain ended, hooks released",
};

pub(super) fn candidate(asked: &Asked, found: &Found) -> Candidate {
    let mut approach = Approach::default();
    let mut is_written = false;
    let lack = match &found.init {
        None => {
            is_written = true;
            None
        }
        Some(Left::Result(InitResult::Redirect {
            selection,
            over_loopback,
            ..
        })) => {
            is_written = true;
            approach = Approach::Own {
                over_loopback: over_loopback.clone(),
            };
            weakness(selection)
        }
        Some(left) => no_rules(Mode::Redirect, left),
    };
    Candidate {
        leads: is_written,
        works: is_written && found.shut.is_empty(),
        steps: lack
            .into_iter()
            .chain(ports_shut(Mode::Redirect, found).filter(|_| is_written))
            .collect(),
        path: DataPath {
            mode: Mode::Redirect,
            ports: vec![Port::plain(asked.relay_port)],
            origin: match asked.only_destination {
                Some(address) => OriginalDestination::Fixed(address),
                None => OriginalDestination::Captured {
                    relay_port: asked.relay_port,
                },
            },
            approach,
            uncaptured: None,
            words: &WORDS,
        },
    }
}

/// What is wrong with rules that redirect these connections.
fn weakness(selection: &Selection) -> Option<Step> {
    let detail = match selection {
        Selection::Listening => return None,
        Selection::All(why) => format!(
            "connections are redirected whether the app listens or not, so a tcpSocket probe \
             always passes: the kernel did not take the rule that asks ({why})"
        ),
    };
    Some(Step {
        mode: Mode::Redirect,
        why: Why::WeakRule,
        detail,
    })
}
