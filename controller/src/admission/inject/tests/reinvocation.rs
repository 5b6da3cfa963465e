//! A pod that has been here before, and what others made of it in between.

use super::*;
use ebb_api::bootstrap::OwnHook;
use ebb_api::names::ORIGINAL_GRACE_ANNOTATION;

/// Another webhook came after us: its sidecar is no longer in front of ours, its container gets a
/// hook, and nothing that the first pass did is done twice, not even with another token at hand.
#[test]
fn a_second_pass_takes_in_what_came_between() {
    let sidecar = sidecar();
    let mut pod = web();
    pod["spec"]["terminationGracePeriodSeconds"] = json!(60);
    pod["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 7}}});
    let mut pod = injected(&pod, &context(&sidecar));
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
        ..context(&sidecar)
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
    let bootstrap = bootstrap(&pod);
    assert_eq!(bootstrap.token, "fresh-token");
    assert_eq!(bootstrap.original_grace_seconds, 60);
    assert_eq!(bootstrap.init_containers, 1, "it takes room, too");
    let hooks: Vec<_> = bootstrap
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

/// A pod that was copied from a running one brings a bootstrap that no key of ours fits: it gets a
/// new one, and keeps the hooks that the old one had taken over.
#[test]
fn a_stale_bootstrap_is_replaced() {
    let sidecar = sidecar();
    let mut pod = web();
    pod["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 7}}});
    let old = Context {
        key: PublicKey {
            id: "k0".to_owned(),
            base64: "b2xk".to_owned(),
        },
        token: "old-token".to_owned(),
        ..context(&sidecar)
    };
    let pod = injected(&injected(&pod, &old), &context(&sidecar));
    let bootstrap = bootstrap(&pod);
    assert_eq!(
        (bootstrap.key.as_str(), bootstrap.token.as_str()),
        ("k1", "fresh-token")
    );
    assert_eq!(
        bootstrap.containers[0].own_hook,
        Some(OwnHook::Sleep { seconds: 7 })
    );
    assert_eq!(bootstrap.original_grace_seconds, 30);
    assert_eq!(
        pod["spec"]["containers"][0]["lifecycle"]["preStop"],
        hooks::call("app", "fresh-token")
    );
    assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 1);
}

/// Ebb never takes time: what another webhook gave stays, and a policy that is off adds nothing.
#[test]
fn grace_is_only_ever_added() {
    let sidecar = sidecar();
    let mut pod = injected(&web(), &context(&sidecar));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 335);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(900);
    let pod = injected(&pod, &context(&sidecar));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 900);
    assert_eq!(bootstrap(&pod).grace_seconds, 900);
}

/// A command that came between two passes is held, too; one that is held already is not put behind
/// ours twice, and gets the token of the day where the pod is a copy of a running one.
#[test]
fn a_command_is_put_behind_ours_once() {
    let sidecar = sidecar();
    let hook = json!({"preStop": {"exec": {"command": ["nginx", "-s", "quit"]}}});
    let mut pod = injected(&web(), &context(&sidecar));
    pod["spec"]["containers"][0]["lifecycle"] = hook;
    let first = injected(&pod, &context(&sidecar));
    let later = Context {
        key: PublicKey {
            id: "k2".to_owned(),
            base64: "bGF0ZXI=".to_owned(),
        },
        token: "later-token".to_owned(),
        ..context(&sidecar)
    };
    let second = injected(&first, &later);
    for (pod, token) in [(&first, "fresh-token"), (&second, "later-token")] {
        let spec = &pod["spec"];
        let command = &spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"];
        let expected = json!([
            "/.ebb/hold",
            "after",
            "app",
            token,
            "305",
            "--",
            "nginx",
            "-s",
            "quit"
        ]);
        assert_eq!(command, &expected);
        let init = spec["initContainers"].as_array().unwrap();
        let names: Vec<_> = init.iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["ebb-hold", "ebb-redirect", "ebb"]);
        assert_eq!(spec["volumes"].as_array().unwrap().len(), 2);
        let mounts = spec["containers"][0]["volumeMounts"].as_array();
        assert_eq!(mounts.unwrap().len(), 1);
    }
}
