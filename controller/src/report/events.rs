//! Events: what `kubectl describe` shows below a pod or a policy.
//!
//! They are for people, so they may come late and, in a flood, not at all; a drain never waits for
//! one. The numbers stand in the status in any case.

mod notes;
mod write;

pub use notes::{began, drained, ended, hook_refused, unprotected, warning};
pub use write::write;

use crate::metrics::Metrics;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::EventType;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The most Events that wait to be written.
const WAITING: usize = 1024;

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
