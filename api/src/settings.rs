//! A policy with every default applied: what a sidecar acts on.

use crate::connections::ConnectionSettings;
use serde::{Deserialize, Serialize};

/// The drain's timeout where the policy names none, in seconds: that of the load balancers.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 300;
/// The time without new work that ends the lame-duck phase where the policy names none, in seconds.
pub const DEFAULT_QUIET_SECONDS: u32 = 2;
/// The longest lame-duck phase where the policy names none, in seconds.
pub const DEFAULT_MAX_SECONDS: u32 = 30;
/// How long a drain waits for an idle HTTP/1 connection to come back where the policy names no
/// time, in seconds: a longer time would make every drain wait for the least busy client.
pub const DEFAULT_HTTP1_IDLE_SECONDS: u32 = 5;
/// A pod's own grace period where its spec names none, in seconds (Kubernetes' default).
pub const DEFAULT_GRACE_SECONDS: u32 = 30;
/// What the webhook adds to timeout and shutdown time: kubelet's calls, probes and bookkeeping must
/// never be what cuts a drain short.
pub const GRACE_MARGIN_SECONDS: u32 = 5;

/// A policy with every default applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The name of the policy; `None` where no policy selects the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// False: stand aside. The hook returns at once, nothing is closed, no client gets a goodbye.
    pub enabled: bool,
    /// The whole drain, from the signal to the release of the hook, in seconds.
    pub timeout_seconds: u32,
    /// When the lame-duck phase ends.
    pub deregistration: DeregistrationSettings,
    /// How connections are treated meanwhile.
    #[serde(default)]
    pub connections: ConnectionSettings,
    /// The least time that the app gets after SIGTERM, in seconds; `None` means the pod's own
    /// original grace period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown_seconds: Option<u32>,
}

/// The lame-duck phase ends when `min` has passed, the endpoints are gone and it was quiet; at the
/// latest at `max` or the timeout, whichever is smaller. What
/// [`Services`](crate::desired::Services) say can make it longer than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeregistrationSettings {
    /// Its least length, in seconds.
    pub min_seconds: u32,
    /// The time without new work that ends it, in seconds.
    pub quiet_seconds: u32,
    /// How long an idle HTTP/1 connection may take to come back for its goodbye once no new
    /// connection is accepted, in seconds.
    #[serde(default = "default_http1_idle_seconds")]
    pub idle_seconds: u32,
    /// Its greatest length, in seconds.
    pub max_seconds: u32,
}

/// The value where the sender of a message does not know the field yet.
fn default_http1_idle_seconds() -> u32 {
    DEFAULT_HTTP1_IDLE_SECONDS
}

impl Settings {
    /// The settings of a sidecar whose pod no policy selects: it only passes bytes through.
    pub fn without_policy() -> Settings {
        Settings {
            policy: None,
            enabled: false,
            timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            deregistration: DeregistrationSettings::default(),
            connections: ConnectionSettings::default(),
            shutdown_seconds: None,
        }
    }

    /// The time that the app is owed after SIGTERM, in seconds, given the pod's own original grace
    /// period.
    pub fn shutdown_seconds_or(&self, original_grace_seconds: u32) -> u32 {
        self.shutdown_seconds.unwrap_or(original_grace_seconds)
    }

    /// The grace period that a pod needs for these settings, in seconds, given its own original
    /// one: never less than that. Ebb adds time, it never takes any.
    pub fn grace_seconds(&self, original_grace_seconds: u32) -> u32 {
        if !self.enabled {
            return original_grace_seconds;
        }
        let needed = self
            .timeout_seconds
            .saturating_add(self.shutdown_seconds_or(original_grace_seconds))
            .saturating_add(GRACE_MARGIN_SECONDS);
        needed.max(original_grace_seconds)
    }
}

impl Default for DeregistrationSettings {
    fn default() -> Self {
        DeregistrationSettings {
            min_seconds: 0,
            quiet_seconds: DEFAULT_QUIET_SECONDS,
            idle_seconds: DEFAULT_HTTP1_IDLE_SECONDS,
            max_seconds: DEFAULT_MAX_SECONDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(enabled: bool, timeout: u32, shutdown: Option<u32>) -> Settings {
        Settings {
            enabled,
            timeout_seconds: timeout,
            shutdown_seconds: shutdown,
            ..Settings::without_policy()
        }
    }

    /// The grace holds the drain, then the app's own shutdown, then the margin.
    #[test]
    fn grace_is_timeout_then_shutdown_then_margin() {
        assert_eq!(settings(true, 300, None).grace_seconds(30), 335);
        assert_eq!(settings(true, 300, Some(10)).grace_seconds(30), 315);
    }

    /// Ebb never takes time: a long original grace stays, and a policy that is off adds nothing.
    #[test]
    fn grace_is_never_shorter_than_the_pod_s_own() {
        assert_eq!(settings(true, 1, Some(0)).grace_seconds(600), 600);
        assert_eq!(settings(false, 300, None).grace_seconds(30), 30);
    }
}
