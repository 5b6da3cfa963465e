//! Each snapshot is a pod as it leaves the webhook: read the one whose name says what it proves.

use super::*;
use crate::admission::guest::Guest;
use ebb_api::birth::OwnHook;
use ebb_api::names::{BIRTH_VARIABLE, INJECT_LABEL, WORKERS_VARIABLE};

fn guest() -> Guest {
    let guest = json!({
        "image": "registry.example/ebb-sidecar:1.2.3",
        "redirect": true,
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "guaranteed": {"cpu": "200m", "memory": "128Mi"},
        },
    });
    serde_json::from_value(guest).unwrap()
}

/// A pod that a policy with a timeout of 300 s selects, in a namespace without any label.
fn context(guest: &Guest) -> Context<'_> {
    Context {
        namespace: Inject::Unset,
        net_admin: true,
        policy: Some(InForce {
            settings: Settings {
                policy: Some("web".to_owned()),
                enabled: true,
                ..Settings::without_policy()
            },
            ports: Ports {
                exclude: vec![9100],
                proxy_protocol: vec![5432],
            },
        }),
        key: PublicKey {
            id: "k1".to_owned(),
            base64: "cHVibGlj".to_owned(),
        },
        token: "fresh-token".to_owned(),
        guest,
    }
}

fn pod(spec: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-5d4f-", "creationTimestamp": null, "labels": {"app": "web"}},
        "spec": spec,
    })
}

fn web() -> Value {
    pod(&json!({"containers": [{"name": "app", "image": "web:1"}]}))
}

fn decide(pod: &Value, context: &Context<'_>) -> Decision {
    inject(&Arrival::read(pod.clone()).unwrap(), context)
}

fn injected(pod: &Value, context: &Context<'_>) -> Value {
    match decide(pod, context) {
        Decision::Inject(pod) => pod,
        other => panic!("expected the pod to be injected, got {other:?}"),
    }
}

fn birth(pod: &Value) -> Birth {
    let containers = pod["spec"]["initContainers"].as_array().unwrap();
    let sidecar = containers.iter().find(|c| c["name"] == "ebb").unwrap();
    let environment = sidecar["env"].as_array().unwrap();
    let variable = environment.iter().find(|v| v["name"] == BIRTH_VARIABLE);
    serde_json::from_str(variable.unwrap()["value"].as_str().unwrap()).unwrap()
}

/// The pod with its birth written out, so that a snapshot can be read.
fn readable(mut pod: Value) -> Value {
    let birth = serde_json::to_value(birth(&pod)).unwrap();
    for container in pod["spec"]["initContainers"].as_array_mut().unwrap() {
        if container["name"] == "ebb" {
            container["env"][0]["value"] = birth.clone();
        } else if container["name"] == "ebb-redirect" {
            container["env"][0]["value"] = json!("the same as that of the sidecar");
        }
    }
    pod
}

macro_rules! assert_injected {
    ($name:literal, $pod:expr) => {
        assert_injected!($name, $pod, &context(&guest()))
    };
    ($name:literal, $pod:expr, $context:expr) => {{
        let pod = injected(&$pod, $context);
        let again = injected(&pod, $context);
        assert_eq!(pod, again, "a second pass adds nothing");
        insta::assert_json_snapshot!($name, readable(pod));
    }};
}

/// The smallest pod: sidecar first, hook, grace, label, annotations, volume.
#[test]
fn plain() {
    assert_injected!("plain", web());
}

/// Ours come before the pod's own init containers and other native sidecars, which stay as they are.
#[test]
fn first_of_the_init_containers() {
    let pod = pod(&json!({
        "initContainers": [
            {"name": "migrate", "image": "web:1", "command": ["migrate"]},
            {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always",
             "lifecycle": {"preStop": {"exec": {"command": ["drain"]}}}},
        ],
        "containers": [{"name": "app", "image": "web:1"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }));
    assert_injected!("first_of_the_init_containers", pod);
}

/// A sleep and a call move into the birth; a command stays where it is and is said to be there.
#[test]
fn own_hooks() {
    let mut pod = pod(&json!({"containers": [
        {"name": "sleeps", "image": "a:1", "lifecycle": {"preStop": {"sleep": {"seconds": 7}}}},
        {"name": "sleeps-by-command", "image": "a:1",
         "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 5"]}}}},
        {"name": "calls", "image": "a:1", "ports": [{"name": "admin", "containerPort": 9000}],
         "lifecycle": {"postStart": {"sleep": {"seconds": 1}}, "preStop": {"httpGet":
            {"path": "/deregister", "port": "admin", "httpHeaders": [{"name": "a", "value": "b"}]}}}},
        {"name": "runs", "image": "a:1",
         "lifecycle": {"preStop": {"exec": {"command": ["nginx", "-s", "quit"]}}}},
    ]}));
    pod["metadata"]["annotations"] = json!({OWN_HOOK_ANNOTATION: "start"});
    assert_injected!("own_hooks", pod);
}

/// Liveness and startup probes get the old grace; the sidecar learns which probes connect.
#[test]
fn probes() {
    let pod = pod(&json!({
        "terminationGracePeriodSeconds": 60,
        "containers": [{
            "name": "app", "image": "web:1",
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
                {"containerPort": 53, "protocol": "UDP"}],
            "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 3},
            "readinessProbe": {"grpc": {"port": 9090}},
            "startupProbe": {"httpGet": {"path": "/", "port": 8080}, "terminationGracePeriodSeconds": 5},
        }],
    }));
    assert_injected!("probes", pod);
}

/// A pod of the class Guaranteed stays in it: every container of ours has limits that equal its
/// requests.
#[test]
fn guaranteed() {
    let all = json!({"cpu": "1", "memory": "1Gi"});
    let pod = pod(&json!({"containers": [
        {"name": "app", "image": "web:1", "resources": {"requests": all, "limits": all}},
    ]}));
    assert_injected!("guaranteed", pod);
}

/// With resources at the level of the pod, a request of ours could make the sum too large.
#[test]
fn no_requests_under_a_pod_s_own_budget() {
    let mut pod = web();
    pod["spec"]["resources"] = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}});
    let pod = injected(&pod, &context(&guest()));
    for index in [0, 1] {
        assert_eq!(pod["spec"]["initContainers"][index]["resources"], json!({}));
    }
}

/// The chart's number of threads reaches the sidecar, and only where it is not the sidecar's own.
#[test]
fn several_workers() {
    for (workers, expected) in [(None, None), (Some(1), None), (Some(3), Some("3"))] {
        let guest = Guest {
            workers: workers.and_then(std::num::NonZeroU8::new),
            ..guest()
        };
        let pod = injected(&web(), &context(&guest));
        let environment = pod["spec"]["initContainers"][1]["env"].as_array().unwrap();
        let variable = environment.iter().find(|v| v["name"] == WORKERS_VARIABLE);
        assert_eq!(variable.and_then(|v| v["value"].as_str()), expected);
    }
}

/// Where NET_ADMIN would have the pod refused, the redirect stays out, and nothing else changes.
#[test]
fn without_the_redirect_where_it_is_not_permitted() {
    let guest = guest();
    let strict = Context {
        net_admin: false,
        ..context(&guest)
    };
    assert_injected!("restricted_namespace", web(), &strict);
}

/// A Job's pod is a pod: its restart policy and deadline stay.
#[test]
fn job() {
    let pod = pod(&json!({
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 600,
        "containers": [{"name": "work", "image": "work:1"}],
    }));
    assert_injected!("job", pod);
}

/// A label without a policy brings the sidecar and nothing that costs anything: no longer grace, no
/// other probes.
#[test]
fn labeled_without_a_policy() {
    let guest = guest();
    let nobody = Context {
        policy: None,
        namespace: Inject::Enabled,
        ..context(&guest)
    };
    let mut pod = web();
    pod["spec"]["containers"][0]["livenessProbe"] = json!({"tcpSocket": {"port": 8080}});
    let pod = injected(&pod, &nobody);
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 30);
    let probe = &pod["spec"]["containers"][0]["livenessProbe"];
    assert!(
        probe.get("terminationGracePeriodSeconds").is_none(),
        "{probe}"
    );
    assert!(!birth(&pod).settings.enabled);
    assert_eq!(birth(&pod).containers[0].restart_grace_seconds, Some(30));
}

/// Another webhook came after us: its sidecar is no longer in front of ours, its container gets a
/// hook, and nothing that the first pass did is done twice, not even with another token at hand.
#[test]
fn a_second_pass_takes_in_what_came_between() {
    let guest = guest();
    let mut pod = web();
    pod["spec"]["terminationGracePeriodSeconds"] = json!(60);
    pod["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 7}}});
    let mut pod = injected(&pod, &context(&guest));
    let mesh = json!({"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"});
    pod["spec"]["initContainers"]
        .as_array_mut()
        .unwrap()
        .insert(0, mesh);
    // A registry mirror has rewritten our image: that is its right.
    pod["spec"]["initContainers"][2]["image"] = json!("mirror.example/ebb-sidecar:1.2.3");
    let late = json!({"name": "late", "image": "late:1", "lifecycle": {"preStop": {"sleep": {"seconds": 3}}}});
    pod["spec"]["containers"].as_array_mut().unwrap().push(late);

    let later = Context {
        token: "another-token".to_owned(),
        ..context(&guest)
    };
    let pod = injected(&pod, &later);
    let names: Vec<_> = pod["spec"]["initContainers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ebb-redirect", "ebb", "mesh"]);
    assert_eq!(
        pod["spec"]["initContainers"][1]["image"],
        "mirror.example/ebb-sidecar:1.2.3"
    );
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 365);
    assert_eq!(
        pod["metadata"]["annotations"][ORIGINAL_GRACE_ANNOTATION],
        "60"
    );
    let birth = birth(&pod);
    assert_eq!(birth.token, "fresh-token");
    assert_eq!(birth.original_grace_seconds, 60);
    let hooks: Vec<_> = birth
        .containers
        .iter()
        .map(|c| c.own_hook.clone())
        .collect();
    assert_eq!(
        hooks,
        [
            Some(OwnHook::Sleep { seconds: 7 }),
            Some(OwnHook::Sleep { seconds: 3 })
        ]
    );
    assert_eq!(
        pod["spec"]["containers"][1]["lifecycle"]["preStop"],
        hooks::call("late", "fresh-token")
    );
}

/// A pod that was copied from a running one brings a birth that no key of ours fits: it gets a new
/// one, and keeps the hooks that the old one had taken over.
#[test]
fn a_stale_birth_is_replaced() {
    let guest = guest();
    let mut pod = web();
    pod["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 7}}});
    let old = Context {
        key: PublicKey {
            id: "k0".to_owned(),
            base64: "b2xk".to_owned(),
        },
        token: "old-token".to_owned(),
        ..context(&guest)
    };
    let pod = injected(&injected(&pod, &old), &context(&guest));
    let birth = birth(&pod);
    assert_eq!(
        (birth.key.as_str(), birth.token.as_str()),
        ("k1", "fresh-token")
    );
    assert_eq!(
        birth.containers[0].own_hook,
        Some(OwnHook::Sleep { seconds: 7 })
    );
    assert_eq!(birth.original_grace_seconds, 30);
    assert_eq!(
        pod["spec"]["containers"][0]["lifecycle"]["preStop"],
        hooks::call("app", "fresh-token")
    );
    assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 1);
}

/// Ebb never takes time: what another webhook gave stays, and a policy that is off adds nothing.
#[test]
fn grace_is_only_ever_added() {
    let guest = guest();
    let mut pod = injected(&web(), &context(&guest));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 335);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(900);
    let pod = injected(&pod, &context(&guest));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 900);
    assert_eq!(birth(&pod).grace_seconds, 900);
}

/// Fields that this build's Kubernetes types don't know come out as they went in.
#[test]
fn unknown_fields_survive() {
    let mut pod = web();
    pod["spec"]["fieldOfTomorrow"] = json!({"a": [1]});
    pod["spec"]["containers"][0]["anotherOne"] = json!(true);
    let pod = injected(&pod, &context(&guest()));
    assert_eq!(pod["spec"]["fieldOfTomorrow"], json!({"a": [1]}));
    assert_eq!(pod["spec"]["containers"][0]["anotherOne"], json!(true));
}

/// Who can't have the sidecar keeps its spec and is told why.
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
            json!({"containers": [{"name": "a"}], "volumes": [{"name": "ebb-no-token"}]}),
            Refusal::NameTaken,
        ),
    ] {
        let mut expected = pod(&spec);
        let decision = decide(&expected, &context(&guest()));
        expected["metadata"]["annotations"] = json!({REFUSED_ANNOTATION: refusal.as_str()});
        assert_eq!(decision, Decision::Refuse(expected, refusal));
    }
}

/// `disabled` wins over everything, on either side; a word that we don't know counts for nothing.
#[test]
fn labels_decide_and_disabled_wins() {
    let guest = guest();
    let unset = None;
    let (on, off) = (Some("enabled"), Some("disabled"));
    for (own, namespace, selected, expected) in [
        (unset, Inject::Unset, false, Some(Bystander::NotAsked)),
        (unset, Inject::Unset, true, None),
        (on, Inject::Unset, false, None),
        (unset, Inject::Enabled, false, None),
        (off, Inject::Enabled, true, Some(Bystander::OptedOut)),
        (on, Inject::Disabled, true, Some(Bystander::OptedOut)),
        (
            Some("yes"),
            Inject::Garbage,
            false,
            Some(Bystander::NotAsked),
        ),
    ] {
        let mut pod = web();
        if let Some(own) = own {
            pod["metadata"]["labels"][INJECT_LABEL] = json!(own);
        }
        let mut context = Context {
            namespace,
            ..context(&guest)
        };
        if !selected {
            context.policy = None;
        }
        let bystander = match decide(&pod, &context) {
            Decision::LeaveAlone(bystander) => Some(bystander),
            _ => None,
        };
        assert_eq!(bystander, expected, "{own:?} {namespace:?} {selected}");
    }
}

/// The API server's copy of a static pod is not even annotated: kubelet would make it anew.
#[test]
fn mirror_pods_are_not_touched() {
    let mut pod = web();
    pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "hash"});
    let decision = decide(&pod, &context(&guest()));
    assert_eq!(decision, Decision::LeaveAlone(Bystander::Mirror));
}
