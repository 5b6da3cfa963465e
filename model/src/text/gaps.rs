//! What is wrong with pods that can't drain.

use crate::plan::protection::{Bound, Change, Gap, STATIC, SteppedDown};
use ebb_api::capture::{self, Mode};
use ebb_api::names::{ADMIN_PORT, INJECT_LABEL, REFUSAL_PORT, RELAY_PORT};

/// What is left where no connection passes the sidecar.
const OBSERVED: &str = "who waits for an answer is waited for, as far as the kernel tells, and \
                        nobody is told to leave";

/// What is wrong with these pods, as the end of the sentence "3 of 12 pods …".
pub fn sentence(gap: &Gap) -> String {
    match gap {
        Gap::NotInjected => {
            "have no sidecar: they were made while Ebb's webhook did not answer, or did not \
             know the policy yet, or the webhook is not asked about this namespace \
             (webhook.excludeNamespaces)"
                .to_owned()
        }
        Gap::PodsPredatePolicy => "were made before the policy and have no sidecar".to_owned(),
        Gap::Capture { got, why } => capture_sentence(*got, why),
        Gap::HostNetwork => {
            "use their node's network (hostNetwork), where no sidecar can stand between".to_owned()
        }
        Gap::Refused(word) => match word.as_str() {
            "PortTaken" => format!(
                "use TCP port {RELAY_PORT}, {ADMIN_PORT} or {REFUSAL_PORT} themselves, which Ebb's \
                 sidecar needs"
            ),
            "NameTaken" => {
                "have a container or a volume with a name that Ebb's sidecar needs".to_owned()
            }
            "LimitRange" => {
                "have no sidecar, which the LimitRanges of the namespace would not admit beside \
                 the pods' own containers; whoever made the pods was told which, and the log of \
                 the controller has it"
                    .to_owned()
            }
            "Windows" => "run on Windows, where Ebb has no sidecar".to_owned(),
            STATIC => "are static pods, which kubelet makes without asking anybody".to_owned(),
            word => format!("were left alone by Ebb's webhook ({word})"),
        },
        Gap::OwnHook(_) => {
            "have a preStop hook that only kubelet can carry out (a call by HTTPS, or a command \
             that was left to it), and whose container ends when the hook does, whatever is in \
             flight"
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
        Gap::Annotation(_) => {
            "have an annotation that Ebb can't use, and run as if it were not there".to_owned()
        }
        Gap::Observed(bound) => format!(
            "are only observed, which is as good as it gets where {} ({OBSERVED})",
            forbids(*bound)
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
pub fn name(gap: &Gap, pod: &str) -> String {
    match gap {
        Gap::OwnHook(words) | Gap::Annotation(words) => {
            format!("{pod} ({})", words.join(" and "))
        }
        Gap::NotInjected
        | Gap::PodsPredatePolicy
        | Gap::Capture { .. }
        | Gap::HostNetwork
        | Gap::Refused(_)
        | Gap::GraceTooShort
        | Gap::Unreachable(_)
        | Gap::KeyLost
        | Gap::Observed(_)
        | Gap::InjectionDisabled => pod.to_owned(),
    }
}

/// What is to change in the pods, as the end of a sentence.
pub fn change(change: Change) -> &'static str {
    match change {
        Change::Hook => {
            "make the hook an httpGet by HTTP or a command, which Ebb holds (without the \
             annotation ebb.dev/own-hook: leave), or take it out"
        }
        Change::Annotation => "correct the annotation, or take it out",
    }
}

fn capture_sentence(got: Mode, why: &SteppedDown) -> String {
    let run = match got {
        Mode::Observe => "run a sidecar that their connections do not pass".to_owned(),
        Mode::Transparent | Mode::Redirect | Mode::NamedPorts => {
            format!("run a sidecar in mode {got}, which is not the one that capture.mode asks for")
        }
    };
    match why {
        SteppedDown::Failed(steps) => match capture::sentence(steps) {
            Some(said) => format!("{run} ({said})"),
            None => run,
        },
        SteppedDown::Outdated => format!("{run}, since they were made when another was asked for"),
        SteppedDown::Forbidden(bound) => {
            format!("{run}, since {}; {OBSERVED}", forbids(*bound))
        }
    }
}

fn forbids(bound: Bound) -> &'static str {
    match bound {
        Bound::PodSecurity => "the Pod Security level of the namespace forbids more",
        Bound::Chart => "the chart's sidecar.redirect is false",
    }
}
