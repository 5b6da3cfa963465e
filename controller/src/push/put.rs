//! One attempt to put the wanted state to one sidecar.

use super::Sign;
use super::client::{CallError, Sidecar};
use crate::lease::Term;
use bytes::Bytes;
use ebb_api::capture::Step;
use ebb_api::desired::{Conflict, Desired, Revision};
use ebb_api::report::Report;
use ebb_model::plan::Wanted;
use ebb_model::text::truncate::truncate;
use ebb_model::views::{Contact, Seen};
use hyper::StatusCode;

/// How often an attempt is repeated because the sidecar has restarted, or an attempt of ours that
/// was given up has reached it after all.
const ROUNDS: u32 = 4;

/// How much of a sidecar's own words finds its way into a policy's status, in bytes.
const LONGEST_WORDS: usize = 300;

/// The least of it that is worth a line, in bytes.
const SHORTEST_WORDS: usize = 10;

/// The start of a sidecar that accepted a state last, and the state's revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// That start.
    pub boot: String,
    /// The highest revision that it has accepted.
    pub revision: Revision,
}

/// A sidecar has accepted a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// That state, so that it can be compared with the one that is wanted now.
    pub wanted: Wanted,
    /// Where the next attempt begins.
    pub peer: Peer,
    /// What was learned about it.
    pub contact: Option<Contact>,
}

/// Why a sidecar did not accept a state.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The address has been given to another pod, or the pod's status is old.
    #[error("the address answers for another pod, {0}")]
    OtherPod(String),
    /// The keyring does not hold the key of the pod's bootstrap.
    #[error("the key {0:?} that its pod names is not in the keyring")]
    UnknownKey(String),
    /// It refused.
    #[error("it refused with status {status}: {why}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its words.
        why: String,
    },
    /// Newer revisions kept coming in between.
    #[error("it had a newer revision {ROUNDS} times in a row; is another controller telling it?")]
    Contested,
    /// It claims to have a state of a later term, and can't show one.
    #[error("it claims a state of the term {0}, which no controller has signed")]
    Unproven(u64),
    /// A later leader has told it something.
    #[error("a controller has told it a state of the later term {0}")]
    Outbid(u64),
    /// This controller does not lead any more.
    #[error("this controller leads no longer")]
    Deposed,
}

/// Puts the wanted state to the sidecar, as the leader of that term; `peer` is what the last
/// attempt learned. Losing, repeating or reordering attempts does no harm: the sidecar takes only
/// what is newer than what it has. A later term than ours is never outbid here.
///
/// # Errors
///
/// Fails if the sidecar did not accept it; the caller tries again.
pub async fn put(
    signer: &impl Sign,
    term: &Term,
    wanted: &Wanted,
    peer: Option<Peer>,
) -> Result<Accepted, Failure> {
    let sidecar = Sidecar::at(wanted.address);
    let (mut peer, first) = match peer {
        Some(peer) => (peer, None),
        None => {
            let report = sidecar.status().await?;
            if report.pod != wanted.pod {
                return Err(Failure::OtherPod(truncate(&report.pod, LONGEST_WORDS)));
            }
            let peer = Peer {
                boot: report.boot.clone(),
                revision: report.revision,
            };
            (peer, Some(contact(report)))
        }
    };
    for _ in 0..ROUNDS {
        peer.revision = next(peer.revision, term.number());
        if !term.holds() {
            return Err(Failure::Deposed);
        }
        let body = body(wanted, &peer);
        let signature = signer
            .sign(&wanted.key, &body)
            .ok_or_else(|| Failure::UnknownKey(wanted.key.clone()))?;
        let (status, answer) = sidecar.put_desired(&wanted.key, &signature, body).await?;
        if status.is_success() {
            return Ok(Accepted {
                wanted: wanted.clone(),
                peer,
                // What it says of itself by now; one that says nothing did so before.
                contact: serde_json::from_slice(&answer).ok().map(contact).or(first),
            });
        }
        let conflict = match status {
            StatusCode::CONFLICT => serde_json::from_slice::<Conflict>(&answer).ok(),
            _ => None,
        };
        let Some(conflict) = conflict else {
            return Err(Failure::Refused {
                status,
                why: truncate(String::from_utf8_lossy(&answer).trim(), LONGEST_WORDS),
            });
        };
        if conflict.revision.term > term.number() {
            return Err(later(signer, &wanted.key, term, conflict));
        }
        peer = Peer {
            boot: conflict.boot,
            revision: conflict.revision,
        };
    }
    Err(Failure::Contested)
}

/// The revision to put next, where the sidecar has that one.
fn next(present: Revision, term: u64) -> Revision {
    let sequence = match present.term == term {
        // The number comes from outside: above the highest there is none, and it is contested.
        true => present.sequence.saturating_add(1),
        // Of a later term it will be refused, with the proof.
        false => 1,
    };
    Revision::new(term, sequence)
}

/// What to make of a sidecar that has a state of a later term.
fn later(signer: &impl Sign, key: &str, term: &Term, conflict: Conflict) -> Failure {
    let claimed = conflict.revision.term;
    let signed = conflict
        .accepted
        .filter(|it| signer.has_signed(key, it.body.as_bytes(), &it.signature));
    let proven = signed
        .and_then(|it| serde_json::from_str::<Desired>(&it.body).ok())
        .map(|desired| desired.revision.term)
        .filter(|proven| *proven > term.number());
    match proven {
        Some(proven) => Failure::Outbid(proven),
        None => Failure::Unproven(claimed),
    }
}

fn contact(report: Report) -> Contact {
    Contact::Reached {
        mode: report.mode,
        steps: shorten(report.steps, LONGEST_WORDS),
        seen: Seen {
            waits_for_memory: report.memory.is_some_and(|it| it.waiting_ms.is_some()),
            refused_hooks: report.refused_hooks,
        },
    }
}

/// These steps, as far as their details have no more than this number of bytes together.
fn shorten(steps: Vec<Step>, most: usize) -> Vec<Step> {
    let mut left = most;
    let mut short = Vec::new();
    for step in steps {
        if left < SHORTEST_WORDS {
            break;
        }
        let detail = truncate(&step.detail, left);
        left -= detail.len();
        short.push(Step { detail, ..step });
    }
    short
}

fn body(wanted: &Wanted, peer: &Peer) -> Bytes {
    let desired = Desired {
        pod: wanted.pod.clone(),
        boot: peer.boot.clone(),
        revision: peer.revision,
        settings: wanted.settings.clone(),
        leave: wanted.leave,
        endpoints: wanted.endpoints,
        services: wanted.services.clone(),
    };
    serde_json::to_vec(&desired)
        .expect("a desired state has string keys and no maps that could fail")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::capture::{Mode, Why};

    /// However much a sidecar has to say, a policy's status takes a bounded part of it.
    #[test]
    fn a_sidecar_s_steps_are_shortened() {
        let step = |detail: &str| Step {
            mode: Mode::Redirect,
            why: Why::PortTaken,
            detail: detail.to_owned(),
        };
        let few = vec![step("taken"), step("blind")];
        assert_eq!(shorten(few.clone(), 20), few);
        let many = vec![
            step("twelve words"),
            step("more than there is room for"),
            step("x"),
        ];
        let short = vec![step("twelve words"), step("more th…")];
        assert_eq!(shorten(many, 22), short);
    }
}
