//! What the sidecar reports: while it lives, and as its last words.

use super::Lifecycle;
use crate::capture::poll::SocketPoller;
use crate::census::Snapshot;
use ebb_api::capture::{Step, Why};
use ebb_api::report::{FinalReport, Report};
use std::collections::BTreeSet;
use std::time::Instant;

impl Lifecycle {
    pub(super) fn report(&self, now: Instant) -> Report {
        let snapshot = self.census.snapshot(now);
        let mode = self.captured.effective.path().mode;
        let here = |why, detail: &str| Step {
            mode,
            why,
            detail: detail.to_owned(),
        };
        let upstream = &self.captured.upstream;
        let own_address = upstream.own_address_ports();
        let own_address = (!own_address.is_empty()).then(|| seen_as_itself(&own_address));
        let blind = self.poller.as_ref().and_then(SocketPoller::blind);
        let complaint = self.complaint.as_deref();
        let steps = self.captured.effective.steps().iter().cloned();
        Report {
            pod: self.uid.clone(),
            boot: self.boot.clone(),
            revision: self.revision,
            mode,
            steps: steps
                .chain(blind.map(|detail| here(Why::SocketsUnseen, detail)))
                .chain(own_address.map(|detail| here(Why::OwnAddress, &detail)))
                .chain(complaint.map(|detail| here(Why::Environment, detail)))
                .collect(),
            phase: self.machine.phase(),
            leaving: self.machine.leaving(&snapshot, now),
            now: snapshot.report(),
            memory: upstream.memory().report(now),
            refused_hooks: self.refused_hooks,
            last: self.machine.last().cloned(),
        }
    }

    /// Makes the termination message say how things stand. A sidecar without anything to tell (it
    /// serves, or was never told to go) leaves the file empty.
    pub(super) fn say_last_words(&mut self, snapshot: &Snapshot) {
        self.termination.say(FinalReport {
            boot: self.boot.clone(),
            mode: self.captured.effective.path().mode,
            policy: self.machine.settings().policy.clone(),
            drain: self.machine.last_words(snapshot),
        });
    }
}

/// That the app sees the pod's own address at these ports, for people.
fn seen_as_itself(ports: &BTreeSet<u16>) -> String {
    let numbers: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!(
        "the app takes no connections but those to the pod's own address (port {}), and sees that \
         in place of its clients' there",
        numbers.join(", ")
    )
}
