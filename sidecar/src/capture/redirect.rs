//! Redirect: rules in the pod's network namespace lead all inbound TCP to one port of the relay.
//!
//! They hold only if the [`init`](super::init) step could write them, and are worth something only
//! while that port is open: nothing is redirected to a port that somebody else has.

use super::chain::{Candidate, port_taken};
use super::init::{InitResult, Left, Selection};
use super::{Asked, DataPath, Found, Words};
use crate::upstream::OriginalDestination;
use ebb_api::capture::{Mode, Step, Why};

const WORDS: Words = Words {
    draining: "draining, nothing new is accepted",
    last_byte: "last in-flight byte read",
    cutting: "deadline reached, cutting what is left",
};

pub(super) fn candidate(asked: &Asked, found: &Found) -> Candidate {
    let mut over_loopback = Vec::new();
    let mut is_written = false;
    let lack = match &found.init {
        None => {
            is_written = true;
            None
        }
        Some(Left::Result(InitResult::Written {
            selection,
            over_loopback: addresses,
        })) => {
            is_written = true;
            over_loopback.clone_from(addresses);
            weakness(selection)
        }
        Some(Left::Result(InitResult::Failed(why))) => {
            Some((Why::InitFailed, format!("the redirect step failed: {why}")))
        }
        Some(Left::Nothing) => Some((
            Why::InitMissing,
            "the redirect step left no result in this pod's network".to_owned(),
        )),
        Some(Left::Unreadable(error)) => Some((
            Why::InitUnreadable,
            format!("the result of the redirect step cannot be read: {error}"),
        )),
    };
    let lack = lack.map(|(why, detail)| Step {
        mode: Mode::Redirect,
        why,
        detail,
    });
    Candidate {
        works: is_written && found.shut.is_empty(),
        steps: lack
            .into_iter()
            .chain(port_taken(Mode::Redirect, found))
            .collect(),
        path: DataPath {
            mode: Mode::Redirect,
            ports: vec![asked.relay_port],
            origin: match asked.only_destination {
                Some(address) => OriginalDestination::Fixed(address),
                None => OriginalDestination::Redirected,
            },
            over_loopback,
            uncaptured: None,
            words: &WORDS,
        },
    }
}

/// What is wrong with rules that redirect these connections.
fn weakness(selection: &Selection) -> Option<(Why, String)> {
    match selection {
        Selection::Listening => None,
        Selection::All(why) => Some((
            Why::WeakRule,
            format!(
                "connections are redirected whether the app listens or not, so a tcpSocket probe \
                 always passes: the kernel did not take the rule that asks ({why})"
            ),
        )),
    }
}
