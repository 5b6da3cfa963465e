//! What the time of a drain went to.

use serde::{Deserialize, Serialize};

/// What the time of a drain went to, in milliseconds. Each moment belongs to one part, so all of
/// them together are the whole: [`Drain::took_ms`](super::Drain::took_ms).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Parts {
    /// Until the endpoints were gone and the least time had passed. Where no controller says when
    /// they are gone, the least time alone.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub endpoints_ms: u64,
    /// From then on until nothing new came any more and nothing was accepted.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub quiet_ms: u64,
    /// With nothing new accepted: while something was in flight.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub last_request_ms: u64,
    /// While nothing was in flight, and idle clients of HTTP were expected back for their goodbye.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub idle_clients_ms: u64,
    /// While nothing was in flight, and goodbyes that are spread over a time were still to be said.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub goodbyes_ms: u64,
}

impl Parts {
    /// All of them together; 0 where the sidecar is too old to tell them.
    pub fn in_all_ms(&self) -> u64 {
        [
            self.endpoints_ms,
            self.quiet_ms,
            self.last_request_ms,
            self.idle_clients_ms,
            self.goodbyes_ms,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}
