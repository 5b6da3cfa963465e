//! Whether a pod can drain as its policy asks, and if not, why.

use crate::cluster::{NamespaceView, PodView, PolicyView};
use ebb_api::names::{ADMIN_PORT, INJECT_LABEL, Inject, RELAY_PORT};
use ebb_api::report::Mode;

/// The reason of pods that a node owns: the webhook never sees them made.
const STATIC: &str = "Static";

/// What is known of a sidecar beyond what the API server says.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Contact {
    /// Nobody has spoken to it yet.
    #[default]
    None,
    /// It answers. With the reason why its mode is not the one that was asked for, if so.
    Reached {
        /// The mode that it runs in.
        mode: Mode,
        /// Why that is another than asked for, as a sentence.
        mode_reason: Option<String>,
    },
    /// It does not answer, for the reason given.
    Unreachable(String),
    /// It was born with a key that the controller does not have, and believes nothing else.
    KeyLost,
}

/// Why a pod can't drain as its policy asks, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// It is younger than the policy and was not injected all the same.
    NotInjected,
    /// It is older than the policy.
    PodsPredatePolicy,
    /// Its connections do not pass the sidecar, for the reason given.
    RedirectFailed(Option<String>),
    /// The same, and in its namespace they can't.
    RedirectForbidden(Option<String>),
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

/// What mends a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Making the pods anew, as they are.
    NewPods,
    /// Making them otherwise: what is to change, as the end of a sentence.
    Edit(&'static str),
    /// No command of ours to give.
    None,
}

/// Why the pod can't drain as the policy, which is in force for it, asks; nothing if it can, or if
/// it is too young to tell.
pub fn gap(
    namespace: &NamespaceView,
    policy: &PolicyView,
    pod: &PodView,
    contact: &Contact,
) -> Option<Gap> {
    let Some(sidecar) = &pod.sidecar else {
        return Some(without_sidecar(namespace, policy, pod));
    };
    match contact {
        Contact::Reached {
            mode: Mode::Observe,
            mode_reason,
        } => {
            return Some(match namespace.forbids_net_admin {
                true => Gap::RedirectForbidden(mode_reason.clone()),
                false => Gap::RedirectFailed(mode_reason.clone()),
            });
        }
        Contact::Reached {
            mode: Mode::Redirect,
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
    let disabled = match pod.inject {
        Inject::Disabled => true,
        Inject::Enabled => false,
        Inject::Unset | Inject::Garbage => namespace.inject == Inject::Disabled,
    };
    if disabled {
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

impl Gap {
    /// The CamelCase word that stands as the condition's reason.
    pub fn reason(&self) -> &str {
        match self {
            Gap::NotInjected => "NotInjected",
            Gap::PodsPredatePolicy => "PodsPredatePolicy",
            Gap::RedirectFailed(_) | Gap::RedirectForbidden(_) => "RedirectFailed",
            Gap::HostNetwork => "HostNetwork",
            Gap::Refused(word) => word,
            Gap::OwnHook(_) => "OwnHook",
            Gap::GraceTooShort => "GraceTooShort",
            Gap::Unreachable(_) => "Unreachable",
            Gap::KeyLost => "KeyLost",
            Gap::InjectionDisabled => "InjectionDisabled",
        }
    }

    /// What is wrong with these pods, as the end of the sentence "3 of 12 pods …".
    pub fn sentence(&self) -> String {
        match self {
            Gap::NotInjected => {
                "have no sidecar: they were made while Ebb's webhook did not answer, or did not \
                 know the policy yet"
                    .to_owned()
            }
            Gap::PodsPredatePolicy => "were made before the policy and have no sidecar".to_owned(),
            Gap::RedirectFailed(None) => {
                "run a sidecar that their connections do not pass".to_owned()
            }
            Gap::RedirectFailed(Some(why)) => {
                format!("run a sidecar that their connections do not pass ({why})")
            }
            Gap::RedirectForbidden(why) => {
                let why = why.as_deref().map(|why| format!(" ({why})"));
                format!(
                    "run a sidecar that their connections do not pass, since the Pod Security \
                     level of the namespace forbids the redirect{}; they are held until they are \
                     out of the endpoints, and nothing is counted",
                    why.unwrap_or_default()
                )
            }
            Gap::HostNetwork => {
                "use their node's network (hostNetwork), where no sidecar can stand between"
                    .to_owned()
            }
            Gap::Refused(word) => match word.as_str() {
                "PortTaken" => format!(
                    "use TCP port {RELAY_PORT} or {ADMIN_PORT} themselves, which Ebb's sidecar needs"
                ),
                "NameTaken" => {
                    "have a container or a volume with a name that Ebb's sidecar needs".to_owned()
                }
                "Windows" => "run on Windows, where Ebb has no sidecar".to_owned(),
                STATIC => "are static pods, which kubelet makes without asking anybody".to_owned(),
                word => format!("were left alone by Ebb's webhook ({word})"),
            },
            Gap::OwnHook(_) => {
                "have a preStop hook that only kubelet can carry out (a command, or a call by \
                 HTTPS), and whose container ends when the hook does, whatever is in flight"
                    .to_owned()
            }
            Gap::GraceTooShort => {
                "were made with a grace period too short for the timeout, and drain only as long \
                 as it lasts"
                    .to_owned()
            }
            Gap::Unreachable(why) => format!(
                "have a sidecar that the controller cannot speak to ({why}): they drain by the \
                 values that they were made with. A NetworkPolicy or mesh may be in the way of \
                 TCP port {}",
                ADMIN_PORT
            ),
            Gap::KeyLost => {
                "were made with a key that the controller has no more, and drain by the values \
                 that they were made with"
                    .to_owned()
            }
            Gap::InjectionDisabled => format!(
                "are left alone, as the label {}: disabled asks",
                INJECT_LABEL
            ),
        }
    }

    /// The pod, as a message names it.
    pub fn name(&self, pod: &str) -> String {
        match self {
            Gap::OwnHook(containers) => format!("{pod} ({})", containers.join(" and ")),
            Gap::NotInjected
            | Gap::PodsPredatePolicy
            | Gap::RedirectFailed(_)
            | Gap::RedirectForbidden(_)
            | Gap::HostNetwork
            | Gap::Refused(_)
            | Gap::GraceTooShort
            | Gap::Unreachable(_)
            | Gap::KeyLost
            | Gap::InjectionDisabled => pod.to_owned(),
        }
    }

    /// What mends it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Gap::NotInjected
            | Gap::PodsPredatePolicy
            | Gap::RedirectFailed(_)
            | Gap::GraceTooShort
            | Gap::KeyLost => Remedy::NewPods,
            Gap::OwnHook(_) => Remedy::Edit(
                "make the hook a sleep, or an httpGet by HTTP, which Ebb carries out itself, or \
                 take it out",
            ),
            Gap::RedirectForbidden(_)
            | Gap::HostNetwork
            | Gap::Refused(_)
            | Gap::Unreachable(_)
            | Gap::InjectionDisabled => Remedy::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod::tests::{injected, pod};
    use crate::cluster::policy::tests::policy;
    use jiff::Timestamp;

    fn of(pod: &PodView, contact: &Contact) -> Option<Gap> {
        gap(&NamespaceView::default(), &policy("web", 100), pod, contact)
    }

    /// A pod without a sidecar is told apart by when and how it was made.
    #[test]
    fn a_pod_without_a_sidecar_has_a_reason() {
        let mut old = pod("a");
        old.created = Timestamp::from_second(99).unwrap();
        assert_eq!(of(&old, &Contact::None), Some(Gap::PodsPredatePolicy));
        let mut young = pod("a");
        young.created = Timestamp::from_second(101).unwrap();
        assert_eq!(of(&young, &Contact::None), Some(Gap::NotInjected));
        let mut host = young.clone();
        host.host_network = true;
        assert_eq!(of(&host, &Contact::None), Some(Gap::HostNetwork));
        let mut refused = young;
        refused.refused = Some("Quota".to_owned());
        assert_eq!(of(&refused, &Contact::None).unwrap().reason(), "Quota");
    }

    /// A namespace that refuses is no fault of the webhook; a pod that asks for it beats it.
    #[test]
    fn a_namespace_that_refuses_is_the_reason() {
        let namespace = NamespaceView {
            inject: Inject::Disabled,
            ..NamespaceView::default()
        };
        let policy = policy("web", 0);
        let mut pod = pod("a");
        let gap_of = |pod: &PodView| gap(&namespace, &policy, pod, &Contact::None);
        assert_eq!(gap_of(&pod), Some(Gap::InjectionDisabled));
        pod.inject = Inject::Enabled;
        assert_ne!(gap_of(&pod), Some(Gap::InjectionDisabled));
    }

    /// Where Pod Security forbids the redirect, new pods would be no better: no command is given.
    #[test]
    fn new_pods_do_not_mend_what_the_namespace_forbids() {
        let observing = Contact::Reached {
            mode: Mode::Observe,
            mode_reason: Some("no redirect step ran".to_owned()),
        };
        let of = |forbids_net_admin| {
            let namespace = NamespaceView {
                forbids_net_admin,
                ..NamespaceView::default()
            };
            gap(&namespace, &policy("web", 100), &injected("a"), &observing).unwrap()
        };
        assert_eq!(of(false).remedy(), Remedy::NewPods);
        assert_eq!(of(true).remedy(), Remedy::None);
        for gap in [of(false), of(true)] {
            assert_eq!(gap.reason(), "RedirectFailed");
            assert!(gap.sentence().contains("(no redirect step ran)"));
        }
    }

    /// A container that a drain can't hold is said, unless nothing is to be held.
    #[test]
    fn a_hook_that_only_kubelet_can_carry_out_is_a_gap() {
        let mut pod = injected("a");
        pod.sidecar.as_mut().unwrap().unheld = vec!["app".to_owned(), "log".to_owned()];
        let gap_now = of(&pod, &Contact::None).unwrap();
        assert_eq!(gap_now.reason(), "OwnHook");
        assert_eq!(gap_now.name("a"), "a (app and log)");
        let mut policy = policy("web", 100);
        policy.settings.enabled = false;
        let namespace = NamespaceView::default();
        assert_eq!(gap(&namespace, &policy, &pod, &Contact::None), None);
    }

    /// With a sidecar it is its mode, then the grace, then whether it answers.
    #[test]
    fn a_sidecar_can_fall_short() {
        let unreachable = Contact::Unreachable("connection refused".to_owned());
        let observing = Contact::Reached {
            mode: Mode::Observe,
            mode_reason: None,
        };
        assert_eq!(of(&injected("a"), &Contact::None), None);
        assert_eq!(of(&injected("a"), &Contact::KeyLost), Some(Gap::KeyLost));
        assert_eq!(
            of(&injected("a"), &unreachable).unwrap().reason(),
            "Unreachable"
        );
        let mut short = injected("a");
        short.grace_seconds = 334;
        assert_eq!(of(&short, &unreachable), Some(Gap::GraceTooShort));
        assert_eq!(of(&short, &observing), Some(Gap::RedirectFailed(None)));
    }
}
