//! What LimitRanges admit is what our containers ask for. The rules are those that the API server
//! goes by; `tests/cluster` has it judge.

use super::*;
use k8s_openapi::api::core::v1::LimitRange;

/// LimitRanges named `a`, `b`, … with one entry each. What follows from `max`, `default` and `min`
/// is filled in as the API server does it (SetDefaults_LimitRangeItem in
/// pkg/apis/core/v1/defaults.go).
fn ranges(items: &Value) -> Vec<LimitRangeView> {
    let items = items.as_array().unwrap().iter();
    let named = items.zip('a'..).map(|(item, name)| {
        let mut item = item.clone();
        if item["type"] == "Container" {
            for (from, to) in [
                ("max", "default"),
                ("default", "defaultRequest"),
                ("min", "defaultRequest"),
            ] {
                let amounts = item[from].as_object().cloned().unwrap_or_default();
                for (resource, amount) in amounts {
                    if item[to].get(&resource).is_none() {
                        item[to][resource] = amount;
                    }
                }
            }
        }
        let object = json!({"metadata": {"name": name.to_string()}, "spec": {"limits": [item]}});
        let object: LimitRange = serde_json::from_value(object).unwrap();
        LimitRangeView::of(object)
    });
    named.collect()
}

/// The sidecar's resources in that pod, and what is told.
fn fitted(items: &Value, pod: &Value) -> Result<(Value, Vec<String>), String> {
    let sidecar = sidecar();
    let context = Context {
        limit_ranges: ranges(items),
        ..context(&sidecar)
    };
    match decide(pod, &context) {
        Decision::Inject(pod, told) => {
            let all = &pod["spec"]["initContainers"];
            assert_eq!(
                all[0]["resources"], all[1]["resources"],
                "each of ours is judged"
            );
            assert_eq!(bootstrap(&pod).fitted, told);
            let again = decide(&pod, &context);
            assert_eq!(
                again,
                Decision::Inject(pod.clone(), told.clone()),
                "a second pass"
            );
            Ok((all[1]["resources"].clone(), told))
        }
        Decision::Refuse(_, Refusal::LimitRange, Some(why)) => Err(why),
        other => panic!("{other:?}"),
    }
}

fn pod_with(annotations: Value, resources: Value) -> Value {
    let mut pod = web();
    pod["metadata"]["annotations"] = annotations;
    pod["spec"]["containers"][0]["resources"] = resources;
    pod
}

fn container(bounds: Value) -> Value {
    let mut item = bounds;
    item["type"] = json!("Container");
    json!([item])
}

fn whole(bounds: Value) -> Value {
    let mut item = bounds;
    item["type"] = json!("Pod");
    json!([item])
}

/// What each kind of bound makes of the sidecar's 10m and 16Mi, and what is told of it.
#[test]
fn each_kind_of_bound_is_respected() {
    let plain = json!({"requests": {"cpu": "10m", "memory": "16Mi"}});
    let with = |requests: Value, limits: Value| json!({"requests": requests, "limits": limits});
    let cases = [
        // Nothing to change: what LimitRanger fills in fits.
        (
            container(json!({"max": {"cpu": "1", "memory": "1Gi"}})),
            plain.clone(),
            None,
        ),
        (
            container(json!({"default": {"cpu": "100m"}})),
            plain.clone(),
            None,
        ),
        (whole(json!({"max": {"cpu": "1"}})), plain.clone(), None),
        (
            container(json!({"default": {"nvidia.com/gpu": "1"}})),
            plain.clone(),
            None,
        ),
        // Too little.
        (
            container(json!({"min": {"cpu": "50m"}})),
            json!({"requests": {"cpu": "50m", "memory": "16Mi"}}),
            Some("cpu request 50m instead of 10m: the LimitRange a has min 50m for each container"),
        ),
        (
            container(json!({"min": {"memory": "32Mi"}})),
            json!({"requests": {"cpu": "10m", "memory": "32Mi"}}),
            Some(
                "memory request 32Mi instead of 16Mi: \
                  the LimitRange a has min 32Mi for each container",
            ),
        ),
        // Too much.
        (
            container(json!({"max": {"cpu": "5m"}})),
            json!({"requests": {"cpu": "5m", "memory": "16Mi"}}),
            Some("cpu request 5m instead of 10m: the LimitRange a has default 5m"),
        ),
        // A limit far from the request. The chart's amount for both is the limit where there has to
        // be one.
        (
            container(json!({"maxLimitRequestRatio": {"cpu": "4"}, "default": {"cpu": "2"}})),
            with(
                json!({"cpu": "50m", "memory": "16Mi"}),
                json!({"cpu": "200m"}),
            ),
            Some(
                "cpu request 50m instead of 10m, cpu limit 200m instead of none: \
                  the LimitRange a has maxLimitRequestRatio 4 for each container",
            ),
        ),
        (
            container(json!({"maxLimitRequestRatio": {"memory": "3"}})),
            with(
                json!({"cpu": "10m", "memory": "44739243"}),
                json!({"memory": "128Mi"}),
            ),
            Some(
                "memory request 44739243 instead of 16Mi, memory limit 128Mi instead of none: \
                  the LimitRange a has maxLimitRequestRatio 3 for each container",
            ),
        ),
        (
            container(json!({"maxLimitRequestRatio": {"cpu": "1.5"}, "max": {"cpu": "100m"}})),
            with(json!({"cpu": "67m", "memory": "16Mi"}), json!({})),
            Some(
                "cpu request 67m instead of 10m: \
                  the LimitRange a has maxLimitRequestRatio 1.5 for each container",
            ),
        ),
        // A default that is below what we ask for.
        (
            container(json!({"default": {"memory": "8Mi"}})),
            with(
                json!({"cpu": "10m", "memory": "16Mi"}),
                json!({"memory": "128Mi"}),
            ),
            Some("memory limit 128Mi instead of none: the LimitRange a has default 8Mi"),
        ),
    ];
    for (items, mut expected, told) in cases {
        if expected["limits"] == json!({}) {
            expected.as_object_mut().unwrap().remove("limits");
        }
        let found = fitted(&items, &web());
        let told: Vec<String> = told.into_iter().map(str::to_owned).collect();
        assert_eq!(found, Ok((expected, told)), "{items}");
    }
}

/// Bounds of several LimitRanges hold at once, whichever fills in its defaults first.
#[test]
fn several_limit_ranges_hold_at_once() {
    let items = json!([
        {"type": "Container", "min": {"cpu": "20m"}, "default": {"cpu": "1"}},
        {"type": "Container", "maxLimitRequestRatio": {"cpu": "10"}, "default": {"cpu": "200m"}},
    ]);
    let (resources, told) = fitted(&items, &web()).unwrap();
    let expected = json!({"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"cpu": "200m"}});
    assert_eq!(resources, expected);
    let said = "cpu request 20m instead of 10m, cpu limit 200m instead of none: \
                the LimitRange a has min 20m for each container";
    assert_eq!(told, [said]);
}

/// What an annotation asks for and a LimitRange forbids is fitted and told; what it admits stays.
#[test]
fn annotations_are_fitted() {
    let limited = container(json!({"max": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "5"}}));
    for (annotations, cpu) in [
        (json!({"ebb.dev/sidecar-cpu-limit": "1"}), ["100m", "500m"]),
        (
            json!({"ebb.dev/sidecar-cpu-limit": "300m"}),
            ["60m", "300m"],
        ),
        (
            json!({"ebb.dev/sidecar-cpu": "1", "ebb.dev/sidecar-cpu-limit": "2"}),
            ["500m", "500m"],
        ),
        (
            json!({"ebb.dev/sidecar-cpu": "100m", "ebb.dev/sidecar-cpu-limit": "400m"}),
            ["100m", "400m"],
        ),
    ] {
        let (resources, told) =
            fitted(&limited, &pod_with(annotations.clone(), json!({}))).unwrap();
        let [request, limit] = cpu;
        assert_eq!(resources["requests"]["cpu"], request, "{annotations}");
        assert_eq!(resources["limits"]["cpu"], limit, "{annotations}");
        let asked = &annotations["ebb.dev/sidecar-cpu-limit"];
        assert_eq!(told.is_empty(), limit == "400m", "{asked}: {told:?}");
    }
}

/// The sum over the pod is Kubernetes': init containers that end count only where they take more
/// than all others. Where the app leaves no room, the sidecar's request is zero, which autoscalers
/// take for one.
#[test]
fn the_sum_over_the_pod_is_respected() {
    let items = whole(json!({"max": {"cpu": "1"}}));
    let cpu = |amount: &str| json!({"requests": {"cpu": amount}, "limits": {"cpu": amount}});
    for (init, app, request) in [
        ("1m", "900m", "10m"),
        ("900m", "100m", "10m"),
        ("1m", "995m", "5m"),
        ("998m", "100m", "2m"),
        ("1m", "1", "0"),
        // Refused as it came: not ours to mend.
        ("1m", "2", "10m"),
    ] {
        let mut pod = pod_with(json!({}), cpu(app));
        pod["spec"]["initContainers"] =
            json!([{"name": "migrate", "image": "web:1", "resources": cpu(init)}]);
        let (resources, _) = fitted(&items, &pod).unwrap();
        let expected = json!({"requests": {"cpu": request, "memory": "16Mi"}});
        assert_eq!(resources, expected, "{init} {app}");
    }
    // A limit of ours alone would be below the least of the sum, which nobody else has.
    let items = whole(json!({"min": {"memory": "1Gi"}}));
    let pod = pod_with(
        json!({"ebb.dev/sidecar-memory-limit": "32Mi"}),
        json!({"requests": {"memory": "1Gi"}}),
    );
    let (resources, told) = fitted(&items, &pod).unwrap();
    assert_eq!(
        resources,
        json!({"requests": {"cpu": "10m", "memory": "16Mi"}})
    );
    let said = "memory limit none instead of 32Mi: \
                the LimitRange a has min 1Gi for the pod as a whole";
    assert_eq!(told, [said]);
}

/// A pod of the class Guaranteed stays in it, with less where there is less; where there is nothing
/// left it goes without the sidecar, which is said.
#[test]
fn guaranteed_pods_stay_so() {
    let app = |cpu: &str| {
        let all = json!({"cpu": cpu, "memory": "1Gi"});
        pod_with(json!({}), json!({"requests": all, "limits": all}))
    };
    let both = |cpu: &str| {
        let all = json!({"cpu": cpu, "memory": "128Mi"});
        json!({"requests": all, "limits": all})
    };
    let each = container(json!({"max": {"cpu": "1"}, "min": {"cpu": "300m"}}));
    assert_eq!(fitted(&each, &app("1")).unwrap().0, both("300m"));
    let sum = whole(json!({"max": {"cpu": "2"}}));
    assert_eq!(fitted(&sum, &app("1")).unwrap().0, both("200m"));
    assert_eq!(fitted(&sum, &app("1900m")).unwrap().0, both("100m"));
    let why = "cpu 200m and any other amount is refused: \
               the LimitRange a has max 2 for the pod as a whole";
    assert_eq!(fitted(&sum, &app("2")), Err(why.to_owned()));
}

/// Under resources of the pod itself ours ask for nothing, and a default that the API server would
/// give them must not break that sum.
#[test]
fn defaults_leave_a_pod_s_own_resources_whole() {
    let items = container(json!({"default": {"cpu": "100m"}}));
    let mut pod = pod_with(json!({}), json!({"requests": {"cpu": "100m"}}));
    pod["spec"]["resources"] = json!({"requests": {"cpu": "500m"}});
    assert_eq!(fitted(&items, &pod).unwrap().0, json!({}));
    pod["spec"]["resources"] = json!({"requests": {"cpu": "150m"}});
    let (resources, told) = fitted(&items, &pod).unwrap();
    assert_eq!(resources, json!({"requests": {"cpu": "0"}}));
    let said = "cpu request 0 instead of none: the resources of the pod itself leave no more";
    assert_eq!(told, [said]);
}

/// What nobody said an amount of, and every container must have, is not made up.
#[test]
fn what_must_be_asked_for_and_nobody_knows_is_told() {
    let items = container(json!({"maxLimitRequestRatio": {"ephemeral-storage": "2"}}));
    let why = "ephemeral-storage none and any other amount is refused: \
               the LimitRange a has maxLimitRequestRatio 2 for each container";
    assert_eq!(fitted(&items, &web()), Err(why.to_owned()));
}
