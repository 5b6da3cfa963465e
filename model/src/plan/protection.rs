//! Whether a pod can drain as its policy asks, and if not, why.

use crate::views::{Contact, NamespaceView, PodView, PolicyView};
use ebb_api::capture::{Mode, Step};
use ebb_api::names::{Inject, REDIRECT_CONTAINER};

/// The reason of pods that a node owns: the webhook never sees them made.
pub const STATIC: &str = "Static";

/// The namespace of a policy's pods, and what the chart allows in it.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceContext<'a> {
    /// The namespace.
    pub namespace: &'a NamespaceView,
    /// Whether the chart lets connections be redirected (`sidecar.redirect`).
    pub redirect: bool,
}

/// Why a pod can't drain as its policy asks, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// It is younger than the policy and was not injected all the same.
    NotInjected,
    /// It is older than the policy.
    PodsPredatePolicy,
    /// Its sidecar runs in a less able mode than it could be asked for.
    Capture {
        /// That mode.
        got: Mode,
        /// Why no better one.
        why: SteppedDown,
    },
    /// It uses its node's network.
    HostNetwork,
    /// The webhook left it alone for a reason of its own: one CamelCase word.
    Refused(String),
    /// These of its containers have a preStop hook of their own that only kubelet can carry out, so
    /// a drain can't hold them.
    OwnHook(Vec<String>),
    /// Its grace period is shorter than the drain and the app's shutdown together.
    GraceTooShort,
    /// Its sidecar does not answer the controller.
    Unreachable(String),
    /// Its sidecar believes a key that the controller does not have.
    KeyLost,
    /// A label asks for no sidecar.
    InjectionDisabled,
}

/// Why a sidecar runs in no better mode, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SteppedDown {
    /// Its init step ran, and the better mode can't be had all the same: what the sidecar says.
    Failed(Vec<Step>),
    /// The pod was made without the init step, which it would get now.
    NoInitStep,
    /// The Pod Security level of its namespace forbids the better mode; what the sidecar says.
    Forbidden(Vec<Step>),
    /// The chart wants it so.
    Off,
}

/// What mends a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Making the pods anew, as they are.
    NewPods,
    /// Making them anew, with this change.
    Edit(Change),
    /// What a container of this name says in its log.
    Logs(&'static str),
    /// No command of ours to give.
    None,
}

/// What is to change in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Their preStop hook.
    Hook,
}

/// Why the pod can't drain as the policy, which is in force for it, asks; `None` if it can, or if
/// it is too young to tell.
pub fn gap(
    context: NamespaceContext<'_>,
    policy: &PolicyView,
    pod: &PodView,
    contact: &Contact,
) -> Option<Gap> {
    let Some(sidecar) = &pod.sidecar else {
        return Some(without_sidecar(context.namespace, policy, pod));
    };
    match contact {
        Contact::Reached {
            mode: got @ Mode::Observe,
            steps,
        } => {
            let why = if !context.redirect {
                SteppedDown::Off
            } else if context.namespace.labels.forbids_net_admin {
                SteppedDown::Forbidden(steps.clone())
            } else if !sidecar.redirect_step {
                SteppedDown::NoInitStep
            } else {
                SteppedDown::Failed(steps.clone())
            };
            return Some(Gap::Capture { got: *got, why });
        }
        Contact::Reached {
            mode: Mode::Redirect | Mode::NamedPorts,
            ..
        }
        | Contact::None
        | Contact::Unreachable(_)
        | Contact::KeyLost => {}
    }
    if !sidecar.unheld.is_empty() && policy.settings.enabled {
        return Some(Gap::OwnHook(sidecar.unheld.clone()));
    }
    if pod.grace_seconds
        < policy
            .settings
            .grace_seconds(sidecar.original_grace_seconds)
    {
        return Some(Gap::GraceTooShort);
    }
    match contact {
        Contact::Unreachable(why) => Some(Gap::Unreachable(why.clone())),
        Contact::KeyLost => Some(Gap::KeyLost),
        Contact::None | Contact::Reached { .. } => None,
    }
}

fn without_sidecar(namespace: &NamespaceView, policy: &PolicyView, pod: &PodView) -> Gap {
    // As the webhook has it: whoever is responsible for either can keep Ebb out.
    if pod.inject == Inject::Disabled || namespace.labels.inject == Inject::Disabled {
        Gap::InjectionDisabled
    } else if pod.host_network {
        Gap::HostNetwork
    } else if let Some(word) = &pod.refused {
        Gap::Refused(word.clone())
    } else if pod.owner.as_ref().is_some_and(|it| it.kind == "Node") {
        Gap::Refused(STATIC.to_owned())
    } else if pod.created <= policy.created {
        Gap::PodsPredatePolicy
    } else {
        Gap::NotInjected
    }
}

// === impl NamespaceContext ===

impl NamespaceContext<'_> {
    /// The mode that the sidecars of new pods are to run in.
    pub fn mode(self) -> Mode {
        if self.redirect && !self.namespace.labels.forbids_net_admin {
            Mode::Redirect
        } else {
            Mode::Observe
        }
    }
}

// === impl Gap ===

impl Gap {
    /// The CamelCase word that stands as the condition's reason.
    pub fn reason(&self) -> &str {
        match self {
            Gap::NotInjected => "NotInjected",
            Gap::PodsPredatePolicy => "PodsPredatePolicy",
            Gap::Capture { .. } => "RedirectFailed",
            Gap::HostNetwork => "HostNetwork",
            Gap::Refused(word) => word,
            Gap::OwnHook(_) => "OwnHook",
            Gap::GraceTooShort => "GraceTooShort",
            Gap::Unreachable(_) => "Unreachable",
            Gap::KeyLost => "KeyLost",
            Gap::InjectionDisabled => "InjectionDisabled",
        }
    }

    /// What mends it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Gap::NotInjected | Gap::PodsPredatePolicy | Gap::GraceTooShort | Gap::KeyLost => {
                Remedy::NewPods
            }
            Gap::Capture { why, .. } => why.remedy(),
            Gap::OwnHook(_) => Remedy::Edit(Change::Hook),
            Gap::HostNetwork | Gap::Refused(_) | Gap::Unreachable(_) | Gap::InjectionDisabled => {
                Remedy::None
            }
        }
    }
}

// === impl SteppedDown ===

impl SteppedDown {
    fn remedy(&self) -> Remedy {
        match self {
            // New pods would fail in the same way.
            SteppedDown::Failed(_) => Remedy::Logs(REDIRECT_CONTAINER),
            SteppedDown::NoInitStep => Remedy::NewPods,
            SteppedDown::Forbidden(_) | SteppedDown::Off => Remedy::None,
        }
    }
}

#[cfg(test)]
mod tests;
