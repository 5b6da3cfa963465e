//! Whether a pod can drain as its policy asks, and if not, why.

use crate::views::{Contact, NamespaceView, PodView, PolicyView, SidecarView};
use ebb_api::capture::{CaptureMode, Mode, Rules, Step, Why};
use ebb_api::names::{Inject, REDIRECT_CONTAINER, SIDECAR_CONTAINER};

/// The reason of pods that a node owns: the webhook never sees them made.
pub const STATIC: &str = "Static";

/// The reason of pods that are only observed, which is as good as it gets where they are.
pub const ONLY_OBSERVED: &str = "OnlyObserved";

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
    /// Its sidecar runs in another mode than the policy asks for, or in none that has a data path.
    Capture {
        /// Why no better one.
        why: SteppedDown,
        /// The mode that it runs in.
        got: Mode,
    },
    /// It uses its node's network.
    HostNetwork,
    /// The webhook left it alone for a reason of its own: one CamelCase word.
    Refused(String),
    /// These of its containers have a preStop hook of their own that stays kubelet's, so a drain
    /// can't hold them.
    OwnHook(Vec<String>),
    /// Its grace period is shorter than the drain and the app's shutdown together.
    GraceTooShort,
    /// Its sidecar does not answer the controller.
    Unreachable(String),
    /// Its sidecar believes a key that the controller does not have.
    KeyLost,
    /// These of its annotations can't be used, and are as if they were not there.
    Annotation(Vec<String>),
    /// The policy asks for the best mode that can be had, and this leaves it none with a data path:
    /// nothing is wrong with the pod.
    Observed(Bound),
    /// A label asks for no sidecar.
    InjectionDisabled,
}

/// What forbids modes, whatever a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// The Pod Security level of the namespace.
    PodSecurity,
    /// The chart (`sidecar.redirect`).
    Chart,
}

/// Why a sidecar does not run in the mode that is asked for, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SteppedDown {
    /// It was asked to, and the mode can't be had: what it says.
    Failed(Vec<Step>),
    /// It was made while the policy, the chart or the namespace's label asked for another mode.
    Outdated,
    /// The mode is forbidden.
    Forbidden(Bound),
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
    /// Another mode in the policy.
    Mode,
    /// No command of ours to give.
    None,
}

/// What is to change in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Their preStop hook.
    Hook,
    /// Their annotations.
    Annotation,
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
    let capture = capture_gap(context, policy, sidecar, contact);
    let observed = match capture {
        Some(Gap::Observed(_)) => capture,
        Some(_) => return capture,
        None => None,
    };
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
        Contact::None | Contact::Reached { .. } if !sidecar.unusable.is_empty() => {
            Some(Gap::Annotation(sidecar.unusable.clone()))
        }
        // What can be mended comes first.
        Contact::None | Contact::Reached { .. } => observed,
    }
}

/// The gap of a pod whose sidecar does not run in the mode that the policy asks for.
fn capture_gap(
    context: NamespaceContext<'_>,
    policy: &PolicyView,
    sidecar: &SidecarView,
    contact: &Contact,
) -> Option<Gap> {
    let (mode, steps) = match contact {
        Contact::Reached { mode, steps, .. } if !satisfies(*mode, policy.capture.mode) => {
            (*mode, steps)
        }
        Contact::Reached { .. } | Contact::None | Contact::Unreachable(_) | Contact::KeyLost => {
            return None;
        }
    };
    let chain = policy.capture.mode.chain(Rules::Permitted);
    let needs_rules = chain.iter().any(|mode| mode.stands_on_rules());
    let why = match context.bound().filter(|_| needs_rules) {
        Some(bound) if policy.capture.mode == CaptureMode::Auto => {
            return Some(Gap::Observed(bound));
        }
        Some(bound) => SteppedDown::Forbidden(bound),
        None if is_tried(policy.capture.mode, steps) && (!needs_rules || sidecar.redirect_step) => {
            SteppedDown::Failed(steps.clone())
        }
        None => SteppedDown::Outdated,
    };
    Some(Gap::Capture { got: mode, why })
}

/// Whether a sidecar in this mode does what the policy asks for.
fn satisfies(mode: Mode, wanted: CaptureMode) -> bool {
    match wanted {
        CaptureMode::Auto => mode != Mode::Observe,
        CaptureMode::Transparent => mode == Mode::Transparent,
        CaptureMode::Redirect => mode == Mode::Redirect,
        CaptureMode::NamedPorts => mode == Mode::NamedPorts,
        CaptureMode::Observe => mode == Mode::Observe,
    }
}

/// Whether a sidecar that says this has tried to do what the policy asks for.
fn is_tried(wanted: CaptureMode, steps: &[Step]) -> bool {
    match wanted {
        CaptureMode::Auto => !steps.is_empty(),
        _ => {
            let chain = wanted.chain(Rules::Permitted);
            steps.iter().any(|step| chain.contains(&step.mode))
        }
    }
}

/// The container whose log says more about these steps.
fn said_by(steps: &[Step]) -> &'static str {
    let of_init = |step: &Step| match step.why {
        Why::InitFailed
        | Why::InitMissing
        | Why::InitUnreadable
        | Why::RulesRefused
        | Why::WeakRule => true,
        Why::NoCapability
        | Why::NoNamedPorts
        | Why::PortTaken
        | Why::SocketsUnseen
        | Why::OwnAddress
        | Why::NoProxyProtocol
        | Why::Environment
        | Why::Unknown => false,
    };
    if steps.iter().any(of_init) {
        REDIRECT_CONTAINER
    } else {
        SIDECAR_CONTAINER
    }
}

/// Why a sidecar that does what its policy asks runs in no better mode, and in which, or what its
/// mode lacks that an app can notice; `None` if it runs in the best, and whole.
pub fn stepped_down(contact: &Contact) -> Option<(Mode, &[Step])> {
    let Contact::Reached { mode, steps, .. } = contact else {
        return None;
    };
    // A better mode that can't be had, or what this one lacks.
    let is_lacking = |step: &Step| matches!(step.why, Why::WeakRule | Why::OwnAddress);
    let is_down = steps
        .iter()
        .any(|step| step.mode < *mode || is_lacking(step));
    is_down.then_some((*mode, steps))
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
    /// The mode that the sidecars of a policy's new pods are to run in.
    pub fn mode(self, policy: &PolicyView) -> Mode {
        let rules = match self.bound() {
            None => Rules::Permitted,
            Some(_) => Rules::Forbidden,
        };
        let chain = policy.capture.mode.chain(rules);
        chain.first().copied().unwrap_or(Mode::Observe)
    }

    /// What forbids the modes that stand on rules, if anything does.
    fn bound(self) -> Option<Bound> {
        match (self.redirect, self.namespace.labels.forbids_net_admin) {
            (false, _) => Some(Bound::Chart),
            (true, true) => Some(Bound::PodSecurity),
            (true, false) => None,
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
            Gap::Capture { why, .. } => why.reason(),
            Gap::HostNetwork => "HostNetwork",
            Gap::Refused(word) => word,
            Gap::OwnHook(_) => "OwnHook",
            Gap::GraceTooShort => "GraceTooShort",
            Gap::Unreachable(_) => "Unreachable",
            Gap::KeyLost => "KeyLost",
            Gap::Annotation(_) => "InvalidAnnotation",
            Gap::Observed(_) => ONLY_OBSERVED,
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
            Gap::Annotation(_) => Remedy::Edit(Change::Annotation),
            Gap::Observed(_) => Remedy::Mode,
            Gap::HostNetwork | Gap::Refused(_) | Gap::Unreachable(_) | Gap::InjectionDisabled => {
                Remedy::None
            }
        }
    }
}

// === impl SteppedDown ===

impl SteppedDown {
    fn reason(&self) -> &'static str {
        match self {
            SteppedDown::Failed(_) => "CaptureFailed",
            SteppedDown::Outdated => "CaptureOutdated",
            SteppedDown::Forbidden(Bound::PodSecurity) => "CaptureForbidden",
            SteppedDown::Forbidden(Bound::Chart) => "CaptureOff",
        }
    }

    fn remedy(&self) -> Remedy {
        match self {
            // New pods would fail in the same way.
            SteppedDown::Failed(steps) => Remedy::Logs(said_by(steps)),
            SteppedDown::Outdated => Remedy::NewPods,
            SteppedDown::Forbidden(_) => Remedy::Mode,
        }
    }
}

#[cfg(test)]
mod tests;
