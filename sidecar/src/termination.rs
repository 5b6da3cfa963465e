//! The last words: kubelet copies this file into the container's status, where they survive the
//! process and, for as long as somebody watches, the pod.

use ebb_api::bootstrap::Bootstrap;
use ebb_api::report::FinalReport;
use std::path::PathBuf;

/// The most that kubelet takes of one container's message, in bytes: of a longer one it has the end
/// (`MaxContainerTerminationMessageLength` in pkg/kubelet/container/runtime.go of Kubernetes 1.35).
const MOST: usize = 4 * 1024;

/// What kubelet keeps of those of all containers of a pod, in bytes; each has the beginning of its
/// own up to an equal share (`MaxPodTerminationMessageLogLength` there, and `normalizeStatus` in
/// pkg/kubelet/status/status_manager.go).
const ALL: usize = 12 * 1024;

/// The containers of a pod that the webhook has not counted: Ebb's own (`ebb`, `ebb-redirect` and
/// `ebb-hold`, at most), and some that others add after it or a person does later, to debug.
const OTHERS: usize = 6;

/// The termination message. Written whenever it changes: the process may be killed at any moment.
#[derive(Debug)]
pub(crate) struct TerminationMessage {
    path: PathBuf,
    room: usize,
    written: Option<FinalReport>,
}

impl TerminationMessage {
    /// The message of a sidecar in the pod of this bootstrap.
    pub(crate) fn new(path: PathBuf, bootstrap: Option<&Bootstrap>) -> TerminationMessage {
        let known = bootstrap.map_or(0, |bootstrap| {
            let init_containers = usize::try_from(bootstrap.init_containers);
            bootstrap.containers.len() + init_containers.unwrap_or(ALL)
        });
        TerminationMessage {
            path,
            room: room(known),
            written: None,
        }
    }

    /// Makes the file say `report`. A failure is logged: the drain matters more than its record.
    pub(crate) fn say(&mut self, report: FinalReport) {
        if self.written.as_ref() == Some(&report) {
            return;
        }
        let text = text(report.clone(), self.room);
        // The file is one that kubelet mounted: it can only be overwritten, not replaced. A write
        // of this size is not torn by anything but the end of the process.
        if let Err(error) = std::fs::write(&self.path, text) {
            tracing::warn!(%error, path = %self.path.display(), "termination message not written");
        }
        self.written = Some(report);
    }
}

/// How many bytes of a message are kept in a pod with so many containers that are not Ebb's.
fn room(known: usize) -> usize {
    (ALL / known.saturating_add(OTHERS)).min(MOST)
}

/// The report as JSON. What is too long for its room is told without the youngest holders, then
/// without the policy's name, which has no bound of ours: a message that is cut can't be read, and
/// the numbers are worth more.
fn text(mut report: FinalReport, room: usize) -> Vec<u8> {
    loop {
        let text = serde_json::to_vec(&report).expect("a report has only string keys");
        let holders = report.drain.as_mut().map(|drain| &mut drain.holders);
        let shortened = text.len() > room
            && (holders.is_some_and(|holders| holders.pop().is_some())
                || report.policy.take().is_some());
        if !shortened {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::capture::Mode;
    use ebb_api::phase::{Outcome, Trigger};
    use ebb_api::report::{Drain, HOLDERS, Holder, Parts, Protocol, WaitsFor};

    /// As long as a report can get: every number is, and so is the policy's name.
    fn longest() -> FinalReport {
        let long = u64::MAX;
        let parts = Parts {
            endpoints_ms: long,
            quiet_ms: long,
            last_request_ms: long,
            idle_clients_ms: long,
            goodbyes_ms: long,
        };
        let holder = |number: u16| Holder {
            client: ([0xfd00, 1, 2, 3, 4, 5, 6, number], 60_000).into(),
            port: 60_000,
            protocol: Protocol::EventStream,
            in_flight: long,
            age_ms: long,
            received: long,
            sent: long,
            waits_for: WaitsFor::Request,
        };
        FinalReport {
            boot: "0123456789abcdef".to_owned(),
            mode: Mode::Transparent,
            policy: Some("p".repeat(253)),
            drain: Some(Drain {
                trigger: Trigger::ContainerRestart,
                outcome: Outcome::Cancelled,
                took_ms: long,
                parts,
                deregistered_ms: Some(long),
                endpoints_gone_ms: Some(long),
                finished: long,
                cut: Protocol::ALL.map(|protocol| (protocol, long)).into(),
                broken: Protocol::ALL.map(|protocol| (protocol, long)).into(),
                abandoned: Protocol::ALL.map(|protocol| (protocol, long)).into(),
                unseen: long,
                given_up: long,
                handed_over: long,
                oldest_cut_ms: Some(long),
                idle_closed: long,
                one_way_closed: long,
                late: long,
                bypassing: long,
                holders: (1..).map(holder).take(HOLDERS).collect(),
            }),
        }
    }

    fn read(text: &[u8]) -> FinalReport {
        serde_json::from_slice(text).expect("it can be read")
    }

    /// A pod of one container keeps all that can be said; one of more keeps the oldest holders, and
    /// then the numbers. Nothing is cut in the middle.
    #[test]
    fn what_is_too_long_loses_the_youngest_holders_first() {
        let all = longest();
        let whole = text(all.clone(), usize::MAX).len();
        let mut kept = Vec::new();
        for room in (0..=whole).rev() {
            let text = text(all.clone(), room);
            let said = read(&text);
            let drain = said.drain.expect("the numbers are always there");
            let bare = said.policy.is_none();
            assert!(text.len() <= room || bare, "{} in {room}", text.len());
            let holders = drain.holders;
            assert_eq!(holders, longest().drain.unwrap().holders[..holders.len()]);
            assert!(!bare || holders.is_empty(), "the name is worth more");
            kept.push((holders.len(), bare));
        }
        kept.dedup();
        let order = [5, 4, 3, 2, 1, 0].map(|holders| (holders, false));
        assert_eq!(kept, [&order[..], &[(0, true)]].concat());
    }

    /// The share of a pod's room, by its containers.
    #[test]
    fn containers_share_the_room() {
        assert_eq!(room(0), 2048, "nothing is known of the pod");
        assert_eq!(room(1), 1755);
        assert_eq!(room(10), 768);
        assert_eq!(room(usize::MAX), 0, "and no overflow");
    }
}
