//! What each trigger means: a row of rules, which everything else asks.

use ebb_api::phase::Trigger;
use std::time::Duration;

/// How long a pod may take that kubelet ends without a deletionTimestamp: the grace it has then is
/// in kubelet's configuration, where nobody can see it.
const SECRET_GRACE: Duration = Duration::from_secs(20);

/// The longest hold of a restart of an app's container. A container is restarted because it is
/// sick; holding it long helps nobody.
const RESTART_HOLD: Duration = Duration::from_secs(10);

/// The meaning of one trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Who goes.
    pub(crate) subject: Subject,
    /// When readiness is withdrawn.
    pub(crate) readiness: Readiness,
    /// What bounds the drain, beside the grace period.
    pub(crate) limit: Limit,
    /// Who may name it.
    pub(crate) source: Source,
}

/// Who goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The whole pod.
    Pod,
    /// One of the app's containers, which comes back; the pod stays.
    Container,
}

/// When readiness is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// When the endpoints are gone and it was quiet: a deletion takes the pod out of the endpoints
    /// by itself, and kube-proxy may want to fall back on this pod until then.
    AfterEndpoints,
    /// At once: it is the only lever.
    AtOnce,
}

/// What bounds a drain, beside the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The policy's timeout.
    Policy,
    /// The policy's timeout, and this long after the first hook or, without one, the signal.
    SinceHook(Duration),
    /// The policy's timeout, or this if it is shorter.
    Hold(Duration),
}

/// Who may name a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The controller, too.
    Anybody,
    /// Kubelet alone, by its hooks.
    Kubelet,
}

/// The rules of a trigger. A new one is a new row here, and nothing else.
pub(crate) const fn rules(trigger: Trigger) -> Rules {
    match trigger {
        Trigger::Deleted => Rules {
            subject: Subject::Pod,
            readiness: Readiness::AfterEndpoints,
            limit: Limit::Policy,
            source: Source::Anybody,
        },
        Trigger::Terminating => Rules {
            subject: Subject::Pod,
            readiness: Readiness::AtOnce,
            limit: Limit::SinceHook(SECRET_GRACE),
            source: Source::Anybody,
        },
        Trigger::ContainerRestart => Rules {
            subject: Subject::Container,
            readiness: Readiness::AtOnce,
            limit: Limit::Hold(RESTART_HOLD),
            source: Source::Kubelet,
        },
    }
}
