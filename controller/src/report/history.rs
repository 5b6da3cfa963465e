//! The past of a policy: which drains have ended, and how many ended how.

use super::condition::whole_seconds;
use super::drains::Ending;
use ebb_api::status::{DrainPolicyStatus, RECORDS, Recent, Totals};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The past: what a policy's status holds and nothing else in the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The last drains that ended, newest first.
    pub recent: Vec<Recent>,
    /// How many ended how.
    pub totals: Totals,
}

// === impl History ===

impl History {
    /// The past that a status holds.
    pub fn of(status: &DrainPolicyStatus) -> History {
        History {
            recent: status.recent.clone(),
            totals: status.totals.clone(),
        }
    }

    /// Adds a drain that has ended.
    pub fn record(&mut self, ending: &Ending, now: Timestamp) {
        self.totals.count(ending.outcome, ending.counts);
        let recent = Recent {
            pod: ending.pod.name.clone(),
            result: ending.outcome,
            summary: ending.summary.clone(),
            time: Time(whole_seconds(now)),
            trigger: ending.trigger,
        };
        self.recent.insert(0, recent);
        self.recent.truncate(RECORDS);
    }
}
