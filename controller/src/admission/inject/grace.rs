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
}
