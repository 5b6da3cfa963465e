//! What a DrainPolicy says about itself, written for `kubectl describe`.
//!
//! Describe sorts keys and prints the items of a list without a separator, so records have few
//! keys, `pod` is the first of them, and the numbers stand in one sentence.

use crate::phase::{Outcome, Trigger};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many records `active` and `recent` hold at most.
pub const RECORDS: usize = 5;

/// The state of a policy and of the pods that it selects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainPolicyStatus {
    /// Pods that are leaving now; the first five to go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<Active>,
    /// Ready: whether the policy is in force. Protected: whether every pod that it selects can
    /// drain. Stalled: it is invalid, and will not be in force until it is changed; else it is not
    /// there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The values in force, defaults applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<InForce>,
    /// The generation of the spec that this status is about; -1 before the controller has seen the
    /// policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last five drains that ended, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Recent>,
    /// How many pods the policy selects, and what they are doing.
    #[serde(default)]
    pub targets: Targets,
    /// How many drains ended how, since the policy was made.
    #[serde(default)]
    pub totals: Totals,
}

/// The values in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// Whether pods drain at all.
    pub enabled: bool,
    /// How connections reach the sidecar.
    pub mode: String,
    /// The longest drain, in seconds.
    pub timeout_seconds: i32,
}

/// A pod that is leaving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Active {
    /// The pod.
    pub pod: String,
    /// How far it is, in a sentence.
    pub progress: String,
    /// When the controller saw it begin.
    pub since: Time,
    /// Why it leaves.
    pub trigger: Trigger,
}

/// A drain that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recent {
    /// The pod.
    pub pod: String,
    /// How it ended.
    pub result: Outcome,
    /// The result in one sentence.
    pub summary: String,
    /// When the controller learned of it.
    pub time: Time,
    /// Why the pod left.
    pub trigger: Trigger,
}

/// How many pods the policy selects, and what they are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Pods that the policy selects.
    pub selected: u32,
    /// Those of them that can drain.
    pub protected: u32,
    /// Those of them that can't; the condition Protected says why.
    pub unprotected: u32,
    /// Those in service.
    pub serving: u32,
    /// Those on their way out.
    pub leaving: u32,
}

/// How many drains ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All that was in flight finished, or was given up by its client.
    pub drained: u64,
    /// The app broke off some of what was in flight.
    #[serde(default)]
    pub broken: u64,
    /// The deadline came first.
    pub timed_out: u64,
    /// The grace period or the process ended first, or no report came.
    pub killed: u64,
    /// The policy was disabled.
    pub skipped: u64,
    /// Requests and connections cut in all.
    pub connections_cut: u64,
    /// Requests and connections that were in flight when Ebb stood aside in the middle of a drain.
    #[serde(default)]
    pub connections_abandoned: u64,
    /// Requests and connections that the app broke off in all.
    #[serde(default)]
    pub connections_broken: u64,
    /// Requests and connections that arrived after the endpoints were gone.
    pub late_arrivals: u64,
}

/// What became of the connections of one drain, as far as [`Totals`] count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests and connections cut.
    pub cut: u64,
    /// Those that the app broke off.
    pub broken: u64,
    /// Those that Ebb no longer waited for, since it stood aside in the middle of the drain.
    pub abandoned: u64,
    /// Those that arrived after the endpoints were gone.
    pub late: u64,
}

impl Totals {
    /// Counts one more drain.
    pub fn count(&mut self, outcome: Outcome, counts: Counts) {
        let counter = match outcome {
            Outcome::Drained => &mut self.drained,
            Outcome::Broken => &mut self.broken,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Killed => &mut self.killed,
            // No pod ends by one that was called off.
            Outcome::Cancelled => return,
            Outcome::Skipped => &mut self.skipped,
        };
        *counter += 1;
        // A sidecar may report any number.
        for (total, count) in [
            (&mut self.connections_cut, counts.cut),
            (&mut self.connections_broken, counts.broken),
            (&mut self.connections_abandoned, counts.abandoned),
            (&mut self.late_arrivals, counts.late),
        ] {
            *total = total.saturating_add(count);
        }
    }
}
