//! Transparent: the kernel hands inbound TCP to the relay under the addresses that clients meant
//! (TPROXY), and the relay dials the app from each client's own address. Nothing is translated, so
//! the pod has no connection tracking, and the app sees its clients.
//!
//! While nobody listens on the relay's port the kernel leaves connections to the app: a sidecar
//! that is away costs no new connection. Those are counted as bypassing.

use super::chain::{Candidate, no_rules, ports_shut};
use super::init::{InitResult, Left};
use super::{Asked, DataPath, Found, Words};
use crate::census::Way;
use crate::listener::{Kind, Port};
use crate::upstream::{Approach, OriginalDestination};
use ebb_api::capture::{Mode, Step, Why};
use ebb_api::names::REFUSAL_PORT;

const WORDS: Words = Words {
    draining: "draining, nothing new is accepted",
    last_byte: "last in-flight byte read",
    cutting: "deadline reached, cutting what is left but what came in past the relay",
    ended: "drain ended, hooks released",
};

pub(super) fn candidate(asked: &Asked, found: &Found) -> Candidate {
    let mut is_written = false;
    let lack = match &found.init {
        Some(Left::Result(InitResult::Transparent)) => {
            is_written = true;
            None
        }
        Some(Left::Result(InitResult::Redirect { instead, .. })) => {
            instead.as_deref().map(rules_refused)
        }
        Some(left) => no_rules(Mode::Transparent, left),
        None => None,
    };
    let shut = ports_shut(Mode::Transparent, found).filter(|_| is_written);
    Candidate {
        leads: is_written,
        works: is_written && found.shut.is_empty(),
        steps: lack.into_iter().chain(shut).collect(),
        path: DataPath {
            mode: Mode::Transparent,
            ports: vec![Port {
                number: asked.relay_port,
                kind: Kind::Transparent {
                    refusal: REFUSAL_PORT,
                },
            }],
            origin: OriginalDestination::Captured {
                relay_port: asked.relay_port,
            },
            approach: Approach::AsClient,
            uncaptured: Some(Way::Bypassing),
            words: &WORDS,
        },
    }
}

/// The kernel did not take the rules, so the init step wrote those of the next mode.
fn rules_refused(why: &str) -> Step {
    Step {
        mode: Mode::Transparent,
        why: Why::RulesRefused,
        detail: format!(
            "the app sees the pod's own address in place of its clients': the kernel did not take \
             the rules that keep them ({why})"
        ),
    }
}
