//! Pods as the API server sends them, and what is kept of them.

use super::*;
use ebb_api::phase::Outcome;
use serde_json::{Value, json};

fn view(pod: Value) -> PodView {
    serde_json::from_value::<NarrowPod>(pod).unwrap().view()
}

fn injected() -> Value {
    let bootstrap = json!({
        "settings": {"policy": "web", "enabled": true, "timeoutSeconds": 20,
            "deregistration": {"minSeconds": 0, "quietSeconds": 2, "maxSeconds": 30}},
        "graceSeconds": 55, "originalGraceSeconds": 30, "token": "t", "key": "k1",
        "publicKey": "", "containers": [],
    });
    json!({
        "metadata": {
            "namespace": "shop", "name": "web-7d9f-x2x", "uid": "u1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "7d9f"},
            "annotations": {"ebb.dev/original-grace-seconds": "30", "ebb.dev/key": "k1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                "name": "web-7d9f", "uid": "r1", "controller": true}],
        },
        "spec": {
            "terminationGracePeriodSeconds": 55,
            "initContainers": [
                {"name": "ebb-redirect", "image": "i"},
                {"name": "ebb", "image": "i", "env": [
                    {"name": "EBB_BOOTSTRAP", "value": bootstrap.to_string()},
                    {"name": "EBB_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                ]},
            ],
            "containers": [{"name": "app", "image": "i"}],
        },
        "status": {
            "phase": "Running", "podIP": "2001:db8::7",
            "conditions": [{"type": "Ready", "status": "True"}],
            "initContainerStatuses": [{"name": "ebb", "restartCount": 2, "image": "i",
                "imageID": "i", "ready": true,
                "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}],
        },
    })
}

/// Everything that decides about a pod is in its view, whatever else the API server sends.
#[test]
fn a_view_holds_what_decides() {
    let view = view(injected());
    assert_eq!(view.ip, Some("2001:db8::7".parse().unwrap()));
    assert!(view.ready && !view.finished);
    assert_eq!((view.grace_seconds, view.deletion), (55, None));
    let deployment = Owner {
        kind: "Deployment".to_owned(),
        name: "web".to_owned(),
    };
    assert_eq!(view.owner, Some(deployment));
    let sidecar = view.sidecar.unwrap();
    assert_eq!(sidecar.state, SidecarState::Running);
    assert_eq!((sidecar.restarts, sidecar.key.as_str()), (2, "k1"));
    assert_eq!(sidecar.bootstrap_settings.timeout_seconds, 20);
    assert!(sidecar.redirect_step);
}

/// A LimitRange's default on our container is told from the limits that the webhook gave it; of a
/// sidecar whose bootstrap can't be read nobody knows which those were.
#[test]
fn limits_that_others_set_are_seen() {
    let mut pod = injected();
    let text = &pod["spec"]["initContainers"][1]["env"][0]["value"];
    let mut bootstrap: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    bootstrap["limits"] = json!({"cpu": "0.2"});
    pod["spec"]["initContainers"][1]["env"][0]["value"] = json!(bootstrap.to_string());
    pod["spec"]["initContainers"][1]["resources"] =
        json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "200m", "memory": "64Mi"}});
    pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] =
        json!("LimitRanger plugin set: memory limit for init container ebb");
    let memory = Imposed {
        resource: "memory".to_owned(),
        amount: "64Mi".to_owned(),
        by: Imposer::LimitRange,
    };
    assert_eq!(view(pod.clone()).sidecar.unwrap().imposed, [memory]);
    pod["spec"]["initContainers"][1]["env"][0]["value"] = json!("{");
    assert_eq!(view(pod).sidecar.unwrap().imposed, []);
}

/// What the webhook says of resources that it fitted is seen; of a text that somebody else has put
/// there, no more than the webhook would have written.
#[test]
fn what_was_fitted_is_seen() {
    let mut pod = injected();
    let text = &pod["spec"]["initContainers"][1]["env"][0]["value"];
    let mut bootstrap: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    let mut seen = |fitted: Value| {
        bootstrap["fitted"] = fitted;
        pod["spec"]["initContainers"][1]["env"][0]["value"] = json!(bootstrap.to_string());
        view(pod.clone()).sidecar.unwrap().fitted
    };
    assert_eq!(seen(json!(["cpu request 50m"])), ["cpu request 50m"]);
    let long = seen(json!(vec!["x".repeat(1000); 100]));
    assert!(long.len() <= 4 && long.iter().all(|text| text.len() <= 300));
}

/// A deletion tells its grace, which may be another than the pod's own.
#[test]
fn a_deletion_tells_its_grace() {
    let mut pod = injected();
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(8);
    let deletion = Deletion {
        grace_seconds: Some(8),
    };
    assert_eq!(view(pod).deletion, Some(deletion));
}

/// The sidecar's last words are read from the pod's last status.
#[test]
fn last_words_are_the_termination_message() {
    let drain = json!({"trigger": "Deleted", "outcome": "Drained", "tookMs": 5200, "finished": 3,
        "idleClosed": 0, "late": 0});
    let words = json!({"boot": "b1", "mode": "Redirect", "policy": "web", "drain": drain});
    let mut pod = injected();
    pod["status"]["initContainerStatuses"][0]["state"] = json!({"terminated":
        {"exitCode": 0, "message": words.to_string()}});
    let sidecar = view(pod).sidecar.unwrap();
    assert_eq!(sidecar.state, SidecarState::Ended);
    let drain = sidecar.last.unwrap().drain.unwrap();
    assert_eq!((drain.outcome, drain.finished), (Outcome::Drained, 3));
}

/// What is absent or has been spoiled by somebody is no reason to lose sight of a pod.
#[test]
fn garbage_is_read_as_unset() {
    let bare = view(json!({"metadata": {"namespace": "shop", "name": "a"}}));
    assert_eq!(
        (bare.grace_seconds, bare.ip, bare.sidecar),
        (30, None, None)
    );
    let mut pod = injected();
    pod["metadata"]["annotations"]["ebb.dev/original-grace-seconds"] = json!("soon");
    pod["spec"]["initContainers"][1]["env"][0]["value"] = json!("{");
    pod["spec"]["terminationGracePeriodSeconds"] = json!(-1);
    pod["status"]["podIP"] = json!("");
    pod["status"]["initContainerStatuses"][0]["state"] = json!({"terminated":
        {"exitCode": 1, "message": "panicked"}});
    let view = view(pod);
    assert_eq!((view.grace_seconds, view.ip), (0, None));
    let sidecar = view.sidecar.unwrap();
    assert_eq!(sidecar.bootstrap_settings, Settings::without_policy());
    assert_eq!((sidecar.original_grace_seconds, sidecar.last), (30, None));
    let garbled = sidecar.garbled.unwrap();
    assert!(garbled.starts_with("expected value"), "{garbled}");
}

/// Containers that a drain can't hold are known by name; names of nobody are none.
#[test]
fn containers_that_a_drain_cannot_hold_are_named() {
    let unheld = |names: &str| {
        let mut pod = injected();
        pod["metadata"]["annotations"]["ebb.dev/not-held"] = json!(names);
        view(pod).sidecar.unwrap().unheld
    };
    assert_eq!(unheld("app"), ["app"]);
    assert_eq!(unheld("other, app,"), ["app"]);
    assert_eq!(unheld(""), [""; 0]);
    assert_eq!(view(injected()).sidecar.unwrap().unheld, [""; 0]);
}

/// What the webhook warned of is said to whoever reads the status, too.
#[test]
fn annotations_that_cannot_be_used_are_kept_with_their_values() {
    let mut pod = injected();
    pod["metadata"]["annotations"]["ebb.dev/sidecar-memory"] = json!("64MB");
    let unusable = view(pod).sidecar.unwrap().unusable;
    let said = "ebb.dev/sidecar-memory is \"64MB\", not bytes, such as 64Mi, and at least 4Mi";
    assert_eq!(unusable, [said]);
    assert_eq!(view(injected()).sidecar.unwrap().unusable, [""; 0]);
}

/// A container of our name that the webhook has not made is no sidecar: the pod is unprotected.
#[test]
fn a_container_of_our_name_is_not_taken_for_a_sidecar() {
    let mut pod = injected();
    pod["spec"]["initContainers"][1]["env"] = json!(null);
    pod["metadata"]["annotations"]["ebb.dev/not-injected"] = json!("NameTaken");
    let view = view(pod);
    assert_eq!(view.sidecar, None);
    assert_eq!(view.refused.as_deref(), Some("NameTaken"));
}

/// A reason that the webhook can't have written would spoil the condition that it stands in.
#[test]
fn a_refusal_is_one_camel_case_word() {
    let refused = |word: &str| {
        let mut pod = injected();
        pod["metadata"]["annotations"]["ebb.dev/not-injected"] = json!(word);
        view(pod).refused
    };
    assert_eq!(refused("HostNetwork").as_deref(), Some("HostNetwork"));
    for garbage in ["", "because", "Not this one", "Nö", &"A".repeat(129)] {
        assert_eq!(refused(garbage), None, "{garbage}");
    }
}

/// A ReplicaSet that no Deployment made stands for itself.
#[test]
fn a_replica_set_of_its_own_is_the_owner() {
    let mut pod = injected();
    pod["metadata"]["labels"] = json!({"app": "web"});
    assert_eq!(view(pod).owner.unwrap().kind, "ReplicaSet");
}
