//! What the keeper says of itself.

use super::Keeper;
use crate::census::Snapshot;
use ebb_api::report::{FinalReport, Report};
use std::time::Instant;

impl Keeper {
    pub(super) fn report(&self, now: Instant) -> Report {
        let reasons = [self.capture.reason.as_deref(), self.complaint.as_deref()];
        let reasons: Vec<&str> = reasons.into_iter().flatten().collect();
        Report {
            pod: self.uid.clone(),
            boot: self.boot.clone(),
            order: self.order,
            mode: self.capture.mode,
            mode_reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            phase: self.machine.phase(),
            leaving: self.machine.leaving(now),
            now: self.census.snapshot(now).report(),
            last: self.machine.last().cloned(),
        }
    }

    /// Makes the termination message say how things stand. A sidecar without anything to tell (it
    /// serves, or was never told to go) leaves the file empty.
    pub(super) fn say_last_words(&mut self, sight: &Snapshot) {
        self.termination.say(FinalReport {
            boot: self.boot.clone(),
            mode: self.capture.mode,
            policy: self.machine.settings().policy.clone(),
            drain: self.machine.last_words(sight),
        });
    }
}
