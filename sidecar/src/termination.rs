//! The last words: kubelet copies this file into the container's status, where they survive the
//! process and, for as long as somebody watches, the pod.

use ebb_api::report::FinalReport;
use std::path::PathBuf;

/// The most that kubelet takes of a termination message, in bytes.
const LIMIT: usize = 4096;

/// The termination message. Written whenever it changes: the process may be killed at any moment.
#[derive(Debug)]
pub(crate) struct TerminationMessage {
    path: PathBuf,
    written: Option<FinalReport>,
}

impl TerminationMessage {
    pub(crate) fn new(path: PathBuf) -> TerminationMessage {
        TerminationMessage {
            path,
            written: None,
        }
    }

    /// Makes the file say `report`. A failure is logged: the drain matters more than its record.
    pub(crate) fn say(&mut self, report: FinalReport) {
        if self.written.as_ref() == Some(&report) {
            return;
        }
        let mut text = serde_json::to_vec(&report).expect("a report has only string keys");
        if text.len() > LIMIT {
            // Only the policy's name has no bound of ours; the numbers are worth more.
            let without_policy = FinalReport {
                policy: None,
                ..report.clone()
            };
            text = serde_json::to_vec(&without_policy).expect("a report has only string keys");
        }
        // The file is one that kubelet mounted: it can only be overwritten, not replaced. A write
        // of this size is not torn by anything but the end of the process.
        if let Err(error) = std::fs::write(&self.path, text) {
            tracing::warn!(%error, path = %self.path.display(), "termination message not written");
        }
        self.written = Some(report);
    }
}
