//! One attempt to tell one sidecar what is wanted of it.

use super::Sign;
use super::client::{CallError, Sidecar};
use crate::excerpt::excerpt;
use crate::plan::Wanted;
use crate::plan::protection::Contact;
use bytes::Bytes;
use ebb_api::desired::{Conflict, Desired, Revision};
use hyper::StatusCode;

/// How often an attempt gives way to a revision that is newer than ours. More than once means that
/// somebody else is telling, too, or that the sidecar restarts in between.
const ROUNDS: u32 = 4;

/// How much of a sidecar's own words finds its way into a policy's status, in bytes.
const LONGEST_WORDS: usize = 300;

/// Which start of a sidecar was told last, and with which revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// That start.
    pub boot: String,
    /// The highest revision that it has accepted.
    pub revision: Revision,
}

/// A sidecar was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What it was told, so that what is wanted now can be compared.
    pub wanted: Wanted,
    /// Where the next one begins.
    pub known: Known,
    /// What was learned about it, if this was the first time.
    pub contact: Option<Contact>,
}

/// Why a sidecar could not be told.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The address has been given to another pod, or the pod's status is old.
    #[error("the address answers for another pod, {0}")]
    OtherPod(String),
    /// The keyring does not hold the key that the pod was born with.
    #[error("the key {0:?} that its pod names is not in the keyring")]
    UnknownKey(String),
    /// It does not want to hear it.
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
}

/// Tells the sidecar what is wanted. Losing, repeating or reordering attempts does no harm: the
/// sidecar takes only what is newer than what it has.
///
/// # Errors
///
/// Fails if it could not be told; the caller tries again.
pub async fn tell(
    signer: &impl Sign,
    wanted: &Wanted,
    known: Option<Known>,
) -> Result<Told, Failure> {
    let sidecar = Sidecar::at(wanted.address);
    let (mut known, contact) = match known {
        Some(known) => (known, None),
        None => {
            let report = sidecar.status().await?;
            if report.pod != wanted.pod {
                return Err(Failure::OtherPod(excerpt(&report.pod, LONGEST_WORDS)));
            }
            let contact = Contact::Reached {
                mode: report.mode,
                mode_reason: report
                    .mode_reason
                    .map(|reason| excerpt(&reason, LONGEST_WORDS)),
            };
            let known = Known {
                boot: report.boot,
                revision: report.revision,
            };
            (known, Some(contact))
        }
    };
    for _ in 0..ROUNDS {
        // What it says that it has comes from outside: past the highest number it is contested.
        known.revision.sequence = known.revision.sequence.saturating_add(1);
        let body = body(wanted, &known);
        let signature = signer
            .sign(&wanted.key, &body)
            .ok_or_else(|| Failure::UnknownKey(wanted.key.clone()))?;
        let (status, answer) = sidecar.put_desired(&wanted.key, &signature, body).await?;
        if status.is_success() {
            return Ok(Told {
                wanted: wanted.clone(),
                known,
                contact,
            });
        }
        let conflict = match status {
            StatusCode::CONFLICT => serde_json::from_slice::<Conflict>(&answer).ok(),
            _ => None,
        };
        let Some(conflict) = conflict else {
            return Err(Failure::Refused {
                status,
                why: excerpt(String::from_utf8_lossy(&answer).trim(), LONGEST_WORDS),
            });
        };
        known = Known {
            boot: conflict.boot,
            revision: conflict.revision,
        };
    }
    Err(Failure::Contested)
}

fn body(wanted: &Wanted, known: &Known) -> Bytes {
    let desired = Desired {
        pod: wanted.pod.clone(),
        boot: known.boot.clone(),
        revision: known.revision,
        settings: wanted.settings.clone(),
        leave: wanted.leave,
        endpoints: wanted.endpoints,
    };
    serde_json::to_vec(&desired)
        .expect("a desired state has string keys and no maps that could fail")
        .into()
}
