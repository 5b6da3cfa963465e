//! What the keeper says of itself.

use super::Keeper;
use crate::capture::lookout::Lookout;
use crate::census::Snapshot;
use ebb_api::report::{FinalReport, Report};
use std::time::Instant;

impl Keeper {
    pub(super) fn report(&self, now: Instant) -> Report {
        let blind = self.lookout.as_ref().and_then(Lookout::blind);
        let reasons = self.captured.standing.reasons();
        let untold = self.captured.untold();
        let reasons: Vec<&str> = reasons
            .chain(blind)
            .chain(untold.as_deref())
            .chain(self.complaint.as_deref())
            .collect();
        Report {
            pod: self.uid.clone(),
            boot: self.boot.clone(),
            revision: self.revision,
            mode: self.captured.standing.mode(),
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
            mode: self.captured.standing.mode(),
            policy: self.machine.settings().policy.clone(),
            drain: self.machine.last_words(sight),
        });
    }
}
