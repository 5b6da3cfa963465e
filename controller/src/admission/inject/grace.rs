//! The pod's grace period: Ebb adds time, it never takes any.

use super::reinvocation::EarlierPass;
use crate::admission::pod::ReviewedPod;
use ebb_api::settings::{DEFAULT_GRACE_SECONDS, Settings};

/// The grace period of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grace {
    /// The pod's own, in seconds.
    pub original: u32,
    /// What it becomes, in seconds.
    pub raised: u32,
}

impl Grace {
    /// The grace that a pod needs for these settings.
    ///
    /// A second pass starts from the original again. What another webhook has added in between
    /// stays.
    pub(super) fn of(pod: &ReviewedPod, settings: &Settings) -> Grace {
        let present = match pod.spec().termination_grace_period_seconds {
            None => DEFAULT_GRACE_SECONDS,
            // Kubernetes takes a negative one for 1.
            Some(seconds) if seconds < 0 => 1,
            Some(seconds) => u32::try_from(seconds).unwrap_or(u32::MAX),
        };
        let original = EarlierPass::original_grace_seconds(pod, present).unwrap_or(present);
        Grace {
            original,
            raised: settings.grace_seconds(original).max(present),
        }
    }

    /// How long a hook in this pod may be held, in seconds: up to the time that the app is owed,
    /// which is what no drain takes. Where the grace has no room for a drain, its half: as the
    /// drain machine has it.
    pub(super) fn hold_limit_seconds(self, settings: &Settings) -> u32 {
        let owed = settings.shutdown_seconds_or(self.original);
        match self.raised.saturating_sub(owed) {
            0 => self.raised / 2,
            spare => spare,
        }
    }
}
