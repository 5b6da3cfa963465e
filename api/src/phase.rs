//! How far a pod has come on its way out, why it goes, and how it ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a pod has come on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// In service.
    #[default]
    Serving,
    /// Lame duck: accepts and serves, and tells every client to move on.
    Deregistering,
    /// Accepts nothing new; what has begun goes on.
    Draining,
    /// The hooks are released. The app may be shutting down; its last bytes are still relayed.
    Ended,
}

/// Why a pod leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Trigger {
    /// The pod has a deletionTimestamp: delete, eviction, rollout, scale-in or node drain.
    Deleted,
    /// Kubelet ends the pod without one: node shutdown, node-pressure eviction,
    /// activeDeadlineSeconds.
    Terminating,
    /// Kubelet restarts the app's container; the pod stays.
    ContainerRestart,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Outcome {
    /// All that was in flight finished.
    Drained,
    /// The deadline came first; what was left was cut, and counted.
    TimedOut,
    /// The pod went back to serving.
    Cancelled,
    /// The policy is disabled, or there is none: nothing was held and nobody was told to leave.
    Skipped,
    /// The grace period, or the process, ended first.
    Killed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
