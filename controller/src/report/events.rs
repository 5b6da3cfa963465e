//! Events: what `kubectl describe` shows below a pod or a policy.
//!
//! They are for people, so they may come late and, in a flood, not at all; a drain never waits for
//! one. The numbers stand in the status in any case.

use super::drains::{Beginning, Ending, PodName};
use crate::api_error::Class;
use crate::metrics::Metrics;
use ebb_api::names::GROUP;
use ebb_api::phase::Outcome;
use ebb_model::text::truncate::truncate;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// How many Events may wait to be written.
const WAITING: usize = 1024;

/// The least time between two writes: at most ten per second.
const PACE: Duration = Duration::from_millis(100);

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// One Event, and the object that it is about.
#[derive(Debug)]
pub struct Note {
    regarding: ObjectReference,
    related: Option<ObjectReference>,
    kind: EventType,
    reason: String,
    note: String,
}

/// Where Events are handed in; never waits.
#[derive(Clone, Debug)]
pub struct Events {
    notes: mpsc::Sender<Note>,
    metrics: Arc<Metrics>,
}

/// A policy, as Events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Events {
    /// Where to hand Events in, and where they come out to be [written](write()).
    pub fn channel(metrics: Arc<Metrics>) -> (Events, mpsc::Receiver<Note>) {
        let (notes, receiver) = mpsc::channel(WAITING);
        (Events { notes, metrics }, receiver)
    }

    /// Hands in an Event.
    pub fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

/// Writes the Events that are handed in, until nobody can hand in any more.
pub async fn write(recorder: Recorder, mut notes: mpsc::Receiver<Note>, metrics: Arc<Metrics>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(note) = notes.recv().await {
        pace.tick().await;
        let event = Event {
            type_: note.kind,
            reason: note.reason,
            note: Some(truncate(&note.note, LONGEST_NOTE)),
            action: "Drain".to_owned(),
            secondary: note.related,
        };
        match recorder.publish(&event, &note.regarding).await {
            Ok(()) => {
                metrics.events.inc();
            }
            Err(error) => {
                metrics.writes_failed.inc();
                match Class::of(&error) {
                    // Its namespace is being deleted, or is gone.
                    Class::NotFound | Class::Conflict | Class::Expired => {
                        debug!(%error, "an Event was not written");
                    }
                    Class::Transient | Class::Bug => warn!(%error, "an Event was not written"),
                }
            }
        }
    }
}

/// A pod begins to drain; nothing, where Ebb stands aside.
pub fn began(beginning: &Beginning) -> Option<Note> {
    let policy = beginning
        .settings
        .policy
        .as_deref()
        .filter(|_| beginning.settings.enabled)?;
    Some(Note {
        regarding: pod(&beginning.pod),
        related: None,
        kind: EventType::Normal,
        reason: "Draining".to_owned(),
        note: format!(
            "Leaving ({}): what is in flight has up to {} s to finish, by the policy {policy}",
            beginning.trigger, beginning.settings.timeout_seconds
        ),
    })
}

/// A pod has drained, or not; nothing, where Ebb stood aside.
pub fn ended(ending: &Ending) -> Option<Note> {
    Some(Note {
        regarding: pod(&ending.pod),
        related: None,
        kind: kind(ending.outcome)?,
        reason: ending.outcome.to_string(),
        note: ending.summary.clone(),
    })
}

/// The policy's own warning about a pod that did not get to finish; nothing, if it did.
pub fn warning(policy: &PolicyName, ending: &Ending) -> Option<Note> {
    kind(ending.outcome).filter(|kind| *kind == EventType::Warning)?;
    Some(Note {
        regarding: self::policy(policy),
        related: Some(pod(&ending.pod)),
        kind: EventType::Warning,
        reason: ending.outcome.to_string(),
        note: format!("{}: {}", ending.pod.name, ending.summary),
    })
}

/// The pods of a policy that drained since the last such Event. `last` is the last of them.
pub fn drained(policy: &PolicyName, pods: u64, finished: u64, last: &PodName) -> Note {
    let what = match pods {
        1 => format!("{} drained", last.name),
        pods => format!("{pods} pods drained, {} last", last.name),
    };
    let ending = if finished == 1 { "" } else { "s" };
    Note {
        regarding: self::policy(policy),
        // The recorder folds Events of one reason about one object and keeps the words of the first;
        // with another object beside it, each keeps its own.
        related: Some(pod(last)),
        kind: EventType::Normal,
        reason: "Drained".to_owned(),
        note: format!("{what}: {finished} request{ending} finished, none cut"),
    }
}

/// Not all pods of a policy can drain any more.
pub fn unprotected(policy: &PolicyName, reason: &str, message: &str) -> Note {
    Note {
        regarding: self::policy(policy),
        related: None,
        kind: EventType::Warning,
        reason: reason.to_owned(),
        note: message.to_owned(),
    }
}

fn kind(outcome: Outcome) -> Option<EventType> {
    match outcome {
        Outcome::Drained | Outcome::Cancelled => Some(EventType::Normal),
        Outcome::TimedOut | Outcome::Killed => Some(EventType::Warning),
        Outcome::Skipped => None,
    }
}

fn pod(pod: &PodName) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.clone()),
        name: Some(pod.name.clone()),
        uid: Some(pod.uid.clone()),
        ..ObjectReference::default()
    }
}

fn policy(policy: &PolicyName) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/v1alpha1")),
        kind: Some("DrainPolicy".to_owned()),
        namespace: Some(policy.namespace.clone()),
        name: Some(policy.name.clone()),
        uid: Some(policy.uid.clone()),
        ..ObjectReference::default()
    }
}
