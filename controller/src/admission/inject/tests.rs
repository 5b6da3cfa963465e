//! Each snapshot is a pod as it leaves the webhook: read the one whose name says what it proves.

use super::*;
use ebb_api::capture::CaptureMode;
use ebb_api::names::{BOOTSTRAP_VARIABLE, OWN_HOOK_ANNOTATION, WORKERS_VARIABLE};

mod eligibility;
mod limit_ranges;
mod reinvocation;

fn sidecar() -> SidecarConfig {
    let sidecar = json!({
        "image": "registry.example/ebb-sidecar:1.2.3",
        "redirect": true,
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "guaranteed": {"cpu": "200m", "memory": "128Mi"},
        },
    });
    serde_json::from_value(sidecar).unwrap()
}

/// A pod that a policy with a timeout of 300 s selects, in a namespace without any label.
fn context(sidecar: &SidecarConfig) -> Context<'_> {
    Context {
        namespace: Inject::Unset,
        net_admin: true,
        policy: Some(InForce {
            settings: Settings {
                policy: Some("web".to_owned()),
                enabled: true,
                ..Settings::without_policy()
            },
            capture: CaptureSettings {
                mode: CaptureMode::Auto,
                exclude_ports: vec![9100],
                proxy_protocol_ports: vec![5432],
            },
        }),
        key: PublicKey {
            id: "k1".to_owned(),
            base64: "cHVibGlj".to_owned(),
        },
        token: "fresh-token".to_owned(),
        limit_ranges: Vec::new(),
        sidecar,
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
    inject(&ReviewedPod::read(pod.clone()).unwrap(), context)
}

fn injected(pod: &Value, context: &Context<'_>) -> Value {
    match decide(pod, context) {
        Decision::Inject(pod, _) => pod,
        other => panic!("expected the pod to be injected, got {other:?}"),
    }
}

fn bootstrap(pod: &Value) -> Bootstrap {
    let containers = pod["spec"]["initContainers"].as_array().unwrap();
    let sidecar = containers.iter().find(|c| c["name"] == "ebb").unwrap();
    let environment = sidecar["env"].as_array().unwrap();
    let variable = environment.iter().find(|v| v["name"] == BOOTSTRAP_VARIABLE);
    serde_json::from_str(variable.unwrap()["value"].as_str().unwrap()).unwrap()
}

/// The pod with its bootstrap written out, so that a snapshot can be read.
fn readable(mut pod: Value) -> Value {
    let bootstrap = serde_json::to_value(bootstrap(&pod)).unwrap();
    for container in pod["spec"]["initContainers"].as_array_mut().unwrap() {
        if container["name"] == "ebb" {
            container["env"][0]["value"] = bootstrap.clone();
        } else if container["name"] == "ebb-redirect" {
            container["env"][0]["value"] = json!("the same as that of the sidecar");
        }
    }
    pod
}

macro_rules! assert_injected {
    ($name:literal, $pod:expr) => {
        assert_injected!($name, $pod, &context(&sidecar()))
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

/// Ours come before the pod's own init containers and other native sidecars, which stay as they
/// are.
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

/// A sleep and a call move into the bootstrap. A command stays in its container, behind ours, with
/// what brings that into the pod; a call by HTTPS stays where it is and is said to be there.
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
        {"name": "calls-by-https", "image": "a:1", "lifecycle": {"preStop":
            {"httpGet": {"scheme": "HTTPS", "port": 8443}}}},
    ]}));
    pod["metadata"]["annotations"] = json!({OWN_HOOK_ANNOTATION: "start"});
    assert_injected!("own_hooks", pod);
}

/// A hook is held for as long as no drain takes: up to the time that the app is owed. A sidecar
/// that does not answer costs the app's own hook nothing.
#[test]
fn a_command_is_held_up_to_what_the_app_is_owed() {
    let sidecar = sidecar();
    let held_for = |grace: u32, policy: bool| {
        let mut context = Context {
            namespace: Inject::Enabled,
            ..context(&sidecar)
        };
        context.policy = context.policy.filter(|_| policy);
        let mut pod = web();
        pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
        pod["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"exec": {"command": ["quit"]}}});
        let pod = injected(&pod, &context);
        let hook = &pod["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"];
        hook["command"][4].as_str().unwrap().to_owned()
    };
    assert_eq!(held_for(30, true), "305", "the timeout, and the margin");
    assert_eq!(held_for(900, true), "305", "and no more in a patient pod");
    assert_eq!(
        held_for(30, false),
        "15",
        "a policy may select the pod later"
    );
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
    let pod = injected(&pod, &context(&sidecar()));
    for index in [0, 1] {
        assert_eq!(pod["spec"]["initContainers"][index]["resources"], json!({}));
    }
}

/// Annotations of the pod count before the chart, each for itself; one that is no amount counts for
/// nothing; and what comes of them is never a pod that the API server refuses or that leaves its
/// class.
#[test]
fn annotations_set_the_sidecar_s_resources() {
    let mut sidecar = sidecar();
    let limits = [("memory".to_owned(), "32Mi".to_owned())];
    sidecar.resources.limits = limits.into_iter().collect();
    let all = json!({"cpu": "1", "memory": "1Gi"});
    let guaranteed = json!({"resources": {"requests": all, "limits": all}});
    let of = |annotations: Value, resources: &Value| {
        let mut pod = web();
        pod["metadata"]["annotations"] = annotations;
        pod["spec"]["containers"][0]["resources"] = resources["resources"].clone();
        let pod = injected(&pod, &context(&sidecar));
        pod["spec"]["initContainers"][1]["resources"].clone()
    };
    for (annotations, resources, requests, limits) in [
        (
            json!({}),
            json!({}),
            ["10m", "16Mi"],
            json!({"memory": "32Mi"}),
        ),
        (
            json!({"ebb.dev/sidecar-cpu": "0.5", "ebb.dev/sidecar-memory-limit": "1Gi"}),
            json!({}),
            ["0.5", "16Mi"],
            json!({"memory": "1Gi"}),
        ),
        (
            json!({"ebb.dev/sidecar-memory": "64Mi", "ebb.dev/sidecar-cpu-limit": "5m"}),
            json!({}),
            ["5m", "64Mi"],
            json!({"cpu": "5m", "memory": "64Mi"}),
        ),
        (
            json!({"ebb.dev/sidecar-memory": "64", "ebb.dev/sidecar-cpu": "many"}),
            json!({}),
            ["10m", "16Mi"],
            json!({"memory": "32Mi"}),
        ),
        (
            json!({"ebb.dev/sidecar-memory": "64Mi", "ebb.dev/sidecar-cpu": "1",
                "ebb.dev/sidecar-cpu-limit": "2"}),
            guaranteed,
            ["2", "64Mi"],
            json!({"cpu": "2", "memory": "64Mi"}),
        ),
    ] {
        let found = of(annotations.clone(), &resources);
        let [cpu, memory] = requests;
        let expected = json!({"requests": {"cpu": cpu, "memory": memory}, "limits": limits});
        assert_eq!(found, expected, "{annotations}");
    }
}

/// The horizontal autoscaler fails for pods in which a container lacks a request, so none of ours
/// ever does, whatever the chart says: they ask, or have a limit that counts as both.
#[test]
fn each_of_our_containers_has_requests() {
    let mut sidecar = sidecar();
    sidecar.resources.requests.clear();
    let mut pod = web();
    pod["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"exec": {"command": ["quit"]}}});
    for (limit, expected) in [(None, "10m"), (Some("5m"), "5m")] {
        let limits = limit.map(|limit| ("cpu".to_owned(), limit.to_owned()));
        sidecar.resources.limits = limits.into_iter().collect();
        let pod = injected(&pod, &context(&sidecar));
        for index in 0..3 {
            let requests = &pod["spec"]["initContainers"][index]["resources"]["requests"];
            let expected = json!({"cpu": expected, "memory": "16Mi"});
            assert_eq!(*requests, expected, "container {index}");
        }
    }
}

/// The chart's number of threads reaches the sidecar, and only where it is not the sidecar's own.
#[test]
fn several_workers() {
    for (workers, expected) in [(None, None), (Some(1), None), (Some(3), Some("3"))] {
        let sidecar = SidecarConfig {
            workers: workers.and_then(std::num::NonZeroU8::new),
            ..sidecar()
        };
        let pod = injected(&web(), &context(&sidecar));
        let environment = pod["spec"]["initContainers"][1]["env"].as_array().unwrap();
        let variable = environment.iter().find(|v| v["name"] == WORKERS_VARIABLE);
        assert_eq!(variable.and_then(|v| v["value"].as_str()), expected);
    }
}

/// Where NET_ADMIN would have the pod refused, the redirect stays out, and nothing else changes.
#[test]
fn without_the_redirect_where_it_is_not_permitted() {
    let sidecar = sidecar();
    let strict = Context {
        net_admin: false,
        ..context(&sidecar)
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
    let sidecar = sidecar();
    let nobody = Context {
        policy: None,
        namespace: Inject::Enabled,
        ..context(&sidecar)
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
    assert!(!bootstrap(&pod).settings.enabled);
    assert_eq!(
        bootstrap(&pod).containers[0].restart_grace_seconds,
        Some(30)
    );
}

/// A sidecar that stands still for less than 3 s takes no pod out of its Services, and the first
/// 503 does: kubelet fails a probe that it waited `timeoutSeconds` for, and withdraws readiness
/// after `failureThreshold` failures in a row. A higher threshold would hold back the 503, too.
#[test]
fn a_pause_is_waited_for_and_a_503_counts_at_once() {
    let pod = injected(&web(), &context(&sidecar()));
    let probe = &pod["spec"]["initContainers"][1]["readinessProbe"];
    let pause_tolerated = probe["timeoutSeconds"].as_u64().unwrap_or(1);
    assert!(pause_tolerated >= 3, "{probe}");
    let failures_needed = probe["failureThreshold"].as_u64().unwrap_or(3);
    assert_eq!((failures_needed, &probe["periodSeconds"]), (1, &json!(1)));
}

/// Fields that this build's Kubernetes types don't know come out as they went in.
#[test]
fn unknown_fields_survive() {
    let mut pod = web();
    pod["spec"]["fieldOfTomorrow"] = json!({"a": [1]});
    pod["spec"]["containers"][0]["anotherOne"] = json!(true);
    let pod = injected(&pod, &context(&sidecar()));
    assert_eq!(pod["spec"]["fieldOfTomorrow"], json!({"a": [1]}));
    assert_eq!(pod["spec"]["containers"][0]["anotherOne"], json!(true));
}

/// In the mode NamedPorts the sidecar takes over the names of the app's TCP ports, on ports that
/// nobody in the pod declares, and whatever names them in the pod means the app's number. It takes
/// no privilege. A second pass, and one over a copy of a running pod, takes nothing twice.
#[test]
fn named_ports() {
    let pod = pod(&json!({"containers": [
        {"name": "app", "image": "web:1",
         "ports": [
             {"name": "http", "containerPort": 8080},
             {"name": "dns", "containerPort": 53, "protocol": "UDP"},
             {"name": "metrics", "containerPort": 9100},
         ],
         "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
         "livenessProbe": {"tcpSocket": {"port": "http"}},
         "lifecycle": {"postStart": {"httpGet": {"path": "/warm", "port": "http"}}}},
        {"name": "admin", "image": "web:1",
         "ports": [{"name": "admin", "containerPort": 17450}]},
    ]}));
    let sidecar = sidecar();
    let mut context = context(&sidecar);
    if let Some(policy) = &mut context.policy {
        policy.capture.mode = CaptureMode::NamedPorts;
    }
    let once = injected(&pod, &context);
    assert_injected!("named_ports", pod, &context);
    context.key.id = "k2".to_owned();
    let copied = injected(&once, &context);
    assert_eq!(bootstrap(&copied).capture, bootstrap(&once).capture);
    let ports = |pod: &Value| pod["spec"]["initContainers"][0]["ports"].clone();
    assert_eq!(ports(&copied), ports(&once));
}
