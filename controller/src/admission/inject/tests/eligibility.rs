//! Who gets the sidecar, who is refused it, and who is left alone.

use super::*;
use ebb_api::names::{INJECT_LABEL, REFUSED_ANNOTATION};

/// A pod that can't have the sidecar keeps its spec, and an annotation says why.
#[test]
fn refusals_are_said_and_change_nothing_else() {
    let port = json!([{"containerPort": 17441}]);
    for (spec, refusal) in [
        (
            json!({"hostNetwork": true, "containers": [{"name": "a"}]}),
            Refusal::HostNetwork,
        ),
        (
            json!({"os": {"name": "windows"}, "containers": [{"name": "a"}]}),
            Refusal::Windows,
        ),
        (
            json!({"nodeSelector": {"kubernetes.io/os": "windows"}, "containers": [{"name": "a"}]}),
            Refusal::Windows,
        ),
        (
            json!({"containers": [{"name": "a", "ports": port}]}),
            Refusal::PortTaken,
        ),
        (
            json!({"initContainers": [{"name": "i", "ports": port}], "containers": [{"name": "a"}]}),
            Refusal::PortTaken,
        ),
        (json!({"containers": [{"name": "ebb"}]}), Refusal::NameTaken),
        (
            json!({"containers": [{"name": "a"}], "volumes": [{"name": "ebb-hold"}]}),
            Refusal::NameTaken,
        ),
        (
            json!({"containers": [{"name": "a"}], "volumes": [{"name": "ebb-no-token"}]}),
            Refusal::NameTaken,
        ),
    ] {
        let mut expected = pod(&spec);
        let decision = decide(&expected, &context(&sidecar()));
        expected["metadata"]["annotations"] = json!({REFUSED_ANNOTATION: refusal.as_str()});
        assert_eq!(decision, Decision::Refuse(expected, refusal, None));
    }
}

/// `disabled` wins over everything, on either side; an unknown word is ignored.
#[test]
fn labels_decide_and_disabled_wins() {
    let sidecar = sidecar();
    let unset = None;
    let (on, off) = (Some("enabled"), Some("disabled"));
    for (own, namespace, selected, expected) in [
        (unset, Inject::Unset, false, Some(SkipReason::NotAsked)),
        (unset, Inject::Unset, true, None),
        (on, Inject::Unset, false, None),
        (unset, Inject::Enabled, false, None),
        (off, Inject::Enabled, true, Some(SkipReason::OptedOut)),
        (on, Inject::Disabled, true, Some(SkipReason::OptedOut)),
        (
            Some("yes"),
            Inject::Garbage,
            false,
            Some(SkipReason::NotAsked),
        ),
    ] {
        let mut pod = web();
        if let Some(own) = own {
            pod["metadata"]["labels"][INJECT_LABEL] = json!(own);
        }
        let mut context = Context {
            namespace,
            ..context(&sidecar)
        };
        if !selected {
            context.policy = None;
        }
        let reason = match decide(&pod, &context) {
            Decision::Skip(reason) => Some(reason),
            _ => None,
        };
        assert_eq!(reason, expected, "{own:?} {namespace:?} {selected}");
    }
}

/// The API server's copy of a static pod is not even annotated: kubelet would make it anew.
#[test]
fn mirror_pods_are_not_touched() {
    let mut pod = web();
    pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "hash"});
    let decision = decide(&pod, &context(&sidecar()));
    assert_eq!(decision, Decision::Skip(SkipReason::Mirror));
}
