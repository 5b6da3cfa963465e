//! What each Event says.

use super::{Note, PolicyName};
use crate::report::drains::{Beginning, Ending, PodName};
use ebb_api::names::GROUP;
use ebb_api::phase::Outcome;
use ebb_model::plan::protection::ONLY_OBSERVED;
use ebb_model::text::count::count;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::EventType;

/// A pod begins to drain. `None` where Ebb stands aside.
pub fn began(beginning: &Beginning) -> Option<Note> {
    let policy = beginning
        .settings
        .policy
        .as_deref()
        .filter(|_| beginning.settings.enabled)?;
    Some(Note {
        regarding: pod_reference(&beginning.pod),
        related: None,
        kind: EventType::Normal,
        reason: "Draining".to_owned(),
        note: format!(
            "Leaving ({}): what is in flight has up to {} s to finish, by the policy {policy}",
            beginning.trigger, beginning.settings.timeout_seconds
        ),
    })
}

/// A pod has drained, or not. `None` where Ebb stood aside from the start.
pub fn ended(ending: &Ending) -> Option<Note> {
    Some(Note {
        regarding: pod_reference(&ending.pod),
        related: None,
        kind: kind(ending)?,
        reason: ending.outcome.to_string(),
        note: ending.summary.clone(),
    })
}

/// The policy's own warning about a pod that could not finish. `None` if it could.
pub fn warning(policy: &PolicyName, ending: &Ending) -> Option<Note> {
    kind(ending).filter(|kind| *kind == EventType::Warning)?;
    Some(Note {
        regarding: policy_reference(policy),
        related: Some(pod_reference(&ending.pod)),
        kind: EventType::Warning,
        reason: ending.outcome.to_string(),
        note: format!("{}: {}", ending.pod.name, ending.summary),
    })
}

/// The pods of a policy that drained since the last such Event. `last` is the last of them, and
/// `finished` says how much has finished.
pub fn drained(policy: &PolicyName, pods: u64, finished: &str, last: &PodName) -> Note {
    let what = match pods {
        1 => format!("{} drained", last.name),
        pods => format!("{pods} pods drained, {} last", last.name),
    };
    Note {
        regarding: policy_reference(policy),
        // The recorder folds Events of one reason about one object and keeps the words of the
        // first; with another object beside it, each keeps its own.
        related: Some(pod_reference(last)),
        kind: EventType::Normal,
        reason: "Drained".to_owned(),
        note: format!("{what}: {finished}, none cut"),
    }
}

/// Somebody who is not kubelet has called a pod's hooks, and nothing came of it.
pub fn hook_refused(pod: &PodName, calls: u64) -> Note {
    let calls = count(calls, "call");
    Note {
        regarding: pod_reference(pod),
        related: None,
        kind: EventType::Warning,
        reason: "HookRefused".to_owned(),
        note: format!(
            "Refused {calls} of its preStop hooks, and nothing has changed: nobody deletes the pod, \
             and kubelet calls from elsewhere. Whoever can read the pod knows the token that such a \
             call takes; the log of its container ebb has the address"
        ),
    }
}

/// Not all pods of a policy can drain any more; a Warning where something is to be done about it.
pub fn unprotected(policy: &PolicyName, reason: &str, message: &str) -> Note {
    Note {
        regarding: policy_reference(policy),
        related: None,
        kind: match reason {
            ONLY_OBSERVED => EventType::Normal,
            _ => EventType::Warning,
        },
        reason: reason.to_owned(),
        note: message.to_owned(),
    }
}

fn kind(ending: &Ending) -> Option<EventType> {
    match ending.outcome {
        Outcome::Drained => Some(EventType::Normal),
        Outcome::Broken | Outcome::TimedOut | Outcome::Killed => Some(EventType::Warning),
        Outcome::Skipped if ending.counts.abandoned > 0 => Some(EventType::Warning),
        // One that was called off has not ended the pod.
        Outcome::Skipped | Outcome::Cancelled => None,
    }
}

fn pod_reference(pod: &PodName) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.clone()),
        name: Some(pod.name.clone()),
        uid: Some(pod.uid.clone()),
        ..ObjectReference::default()
    }
}

fn policy_reference(policy: &PolicyName) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/v1alpha1")),
        kind: Some("DrainPolicy".to_owned()),
        namespace: Some(policy.namespace.clone()),
        name: Some(policy.name.clone()),
        uid: Some(policy.uid.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::phase::Trigger;
    use ebb_api::status::Counts;

    /// Whoever lost something is warned of, on the pod and on its policy, whatever the outcome is
    /// called; who lost nothing is not.
    #[test]
    fn what_was_lost_is_a_warning() {
        let policy = PolicyName {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: "uid-of-web".to_owned(),
        };
        let abandoned = |abandoned| Counts {
            abandoned,
            ..Counts::default()
        };
        for (outcome, counts, kind) in [
            (Outcome::Drained, abandoned(0), Some(EventType::Normal)),
            (Outcome::Broken, abandoned(0), Some(EventType::Warning)),
            (Outcome::Skipped, abandoned(0), None),
            (Outcome::Skipped, abandoned(1), Some(EventType::Warning)),
        ] {
            let ending = Ending {
                pod: PodName {
                    namespace: "shop".to_owned(),
                    name: "web-0".to_owned(),
                    uid: "uid-of-web-0".to_owned(),
                },
                policy: Some("web".to_owned()),
                outcome,
                trigger: Trigger::Deleted,
                summary: "words".to_owned(),
                finished: 0,
                observed: false,
                counts,
            };
            assert_eq!(ended(&ending).map(|note| note.kind), kind, "{outcome}");
            let warned = warning(&policy, &ending).is_some();
            assert_eq!(warned, kind == Some(EventType::Warning), "{outcome}");
        }
    }
}
