//! Writes Events, at a pace that the API server bears.

use super::Note;
use crate::api_error::Class;
use crate::lease::Term;
use crate::metrics::Metrics;
use ebb_model::text::truncate::truncate;
use kube::runtime::events::{Event, Recorder};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// The least time between two writes: at most ten per second.
const PACE: Duration = Duration::from_millis(100);

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Writes the Events that are handed in, as the leader of that term, until no more can come.
pub async fn write(
    recorder: Recorder,
    term: Term,
    mut notes: mpsc::Receiver<Note>,
    metrics: Arc<Metrics>,
) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(note) = notes.recv().await {
        pace.tick().await;
        if !term.holds() {
            continue;
        }
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
