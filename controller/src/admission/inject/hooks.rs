//! The preStop hooks of the app's containers: ours take the place of their own. Those that sleep or
//! call are carried out by the sidecar from then on; a command runs where it did, behind ours
//! (`hold`).

use super::{hold, sleeping};
use ebb_api::bootstrap::OwnHook;
use ebb_api::names::{ADMIN_PORT, OwnHookTime, TOKEN_HEADER, hook_path};
use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

/// What stands in the preStop hook of one of the app's containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PreStop {
    /// There is none, or one without effect.
    Absent,
    /// Our own hook, from an earlier pass.
    Ours,
    /// A hook that the sidecar can carry out.
    Own(OwnHook),
    /// A command that its own container is to run, as the pod's author wrote it.
    Command(Vec<String>),
    /// A hook that stays kubelet's: a call by HTTPS, which the sidecar does not speak, or a command
    /// that its author leaves to kubelet or whose container has no room for ours. A drain can't
    /// hold this container.
    Foreign,
}

/// The hook that makes kubelet wait for the sidecar.
pub(super) fn call(container: &str, token: &str) -> Value {
    json!({
        "httpGet": {
            "path": hook_path(container),
            "port": ADMIN_PORT,
            "scheme": "HTTP",
            "httpHeaders": [{"name": TOKEN_HEADER, "value": token}],
        }
    })
}

/// Reads the preStop hook of a container. `time`: when its own is to run.
pub(super) fn pre_stop(container: &Container, time: OwnHookTime) -> PreStop {
    let lifecycle = container.lifecycle.as_ref();
    let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()) else {
        return PreStop::Absent;
    };
    match hook {
        LifecycleHandler {
            http_get: Some(get),
            ..
        } if is_ours(get, container) => PreStop::Ours,
        LifecycleHandler {
            http_get: Some(get),
            ..
        } => own_call(get, container, time),
        LifecycleHandler {
            sleep: Some(sleep), ..
        } => PreStop::Own(OwnHook::Sleep {
            seconds: u32::try_from(sleep.seconds).unwrap_or(0),
        }),
        LifecycleHandler {
            exec: Some(exec), ..
        } => own_command(exec, container, time),
        // An empty one does nothing; `tcpSocket` never worked and makes kubelet write an Event.
        _ => PreStop::Absent,
    }
}

/// The number of a port that a container names, or gives as a number.
pub(super) fn port_number(port: &IntOrString, container: &Container) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.as_deref().unwrap_or_default().iter();
            let named = ports.find(|port| port.name.as_ref() == Some(name));
            // Kubelet takes a string of digits for a number where no port has that name.
            named.map_or_else(|| name.parse().ok(), |port| Some(port.container_port))?
        }
    };
    u16::try_from(number).ok().filter(|number| *number != 0)
}

fn is_ours(get: &HTTPGetAction, container: &Container) -> bool {
    get.port == IntOrString::Int(i32::from(ADMIN_PORT))
        && get.path.as_deref() == Some(&hook_path(&container.name))
        && get.host.as_deref().unwrap_or_default().is_empty()
}

fn own_call(get: &HTTPGetAction, container: &Container, time: OwnHookTime) -> PreStop {
    if get.scheme.as_deref().unwrap_or("HTTP") != "HTTP" {
        return PreStop::Foreign;
    }
    let Some(port) = port_number(&get.port, container) else {
        // Kubelet finds no such port, either, and calls nobody.
        return PreStop::Absent;
    };
    let headers = get.http_headers.as_deref().unwrap_or_default();
    let path = get.path.as_deref().unwrap_or("/");
    PreStop::Own(OwnHook::HttpGet {
        host: get.host.clone().filter(|host| !host.is_empty()),
        port,
        // As kubelet does it.
        path: if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
        headers: headers
            .iter()
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
        at_start: time == OwnHookTime::Start,
    })
}

fn own_command(exec: &ExecAction, container: &Container, time: OwnHookTime) -> PreStop {
    let written = exec.command.as_deref().unwrap_or_default();
    let command = hold::own_command(container, written).unwrap_or_else(|| written.to_vec());
    if let Some(seconds) = sleeping::seconds(&command) {
        return PreStop::Own(OwnHook::Sleep { seconds });
    }
    let is_left = time == OwnHookTime::Leave || hold::is_folder_taken(container);
    if is_left || command.is_empty() {
        return PreStop::Foreign;
    }
    PreStop::Command(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(pre_stop: &Value) -> Container {
        let container = json!({
            "name": "app",
            "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}],
            "lifecycle": {"preStop": pre_stop},
        });
        serde_json::from_value(container).unwrap()
    }

    fn read(pre_stop: &Value) -> PreStop {
        super::pre_stop(&container(pre_stop), OwnHookTime::Unset)
    }

    /// A command that only sleeps is taken over. Any other one stays in its container as it was
    /// written, and ours in front of it is seen through.
    #[test]
    fn a_command_stays_in_its_container_unless_all_it_does_is_sleep() {
        let exec = |command: &[&str]| json!({"exec": {"command": command}});
        let sleep = PreStop::Own(OwnHook::Sleep { seconds: 5 });
        assert_eq!(read(&exec(&["sh", "-c", "sleep 5"])), sleep);
        let quit = PreStop::Command(["nginx", "-s", "quit"].map(str::to_owned).to_vec());
        assert_eq!(read(&exec(&["nginx", "-s", "quit"])), quit);
        let ours = |container| {
            let words = ["after", container, "t", "9", "--", "nginx", "-s", "quit"];
            exec(&[&[ebb_api::hold::PROGRAM][..], &words].concat())
        };
        assert_eq!(read(&ours("app")), quit);
        assert!(matches!(read(&ours("other")), PreStop::Command(it) if it[2] == "other"));
        assert_eq!(read(&exec(&[])), PreStop::Foreign);
    }

    /// Who leaves a command to kubelet is heard, and no mount of a container is covered.
    #[test]
    fn a_command_may_be_left_to_kubelet() {
        let mut container = container(&json!({"exec": {"command": ["nginx", "-s", "quit"]}}));
        assert_eq!(pre_stop(&container, OwnHookTime::Leave), PreStop::Foreign);
        for (path, is_free) in [("/.ebb", false), ("/.ebb/x", false), ("/.ebbs", true)] {
            let mounts = json!([{"name": "data", "mountPath": path}]);
            container.volume_mounts = serde_json::from_value(mounts).unwrap();
            let found = pre_stop(&container, OwnHookTime::Unset);
            assert_eq!(found != PreStop::Foreign, is_free, "{path}");
        }
    }

    /// A call comes along whole, with a named port as its number.
    #[test]
    fn a_call_is_taken_over_with_its_port_as_a_number() {
        let hook = json!({"httpGet": {"path": "bye?now", "port": "http",
            "httpHeaders": [{"name": "a", "value": "b"}]}});
        let own = OwnHook::HttpGet {
            host: None,
            port: 8080,
            path: "/bye?now".to_owned(),
            headers: vec![("a".to_owned(), "b".to_owned())],
            at_start: true,
        };
        let found = pre_stop(&container(&hook), OwnHookTime::Start);
        assert_eq!(found, PreStop::Own(own));
    }

    /// The sidecar speaks no TLS, so a call by HTTPS stays where it is. A call to a port that the
    /// container does not name fails in kubelet, too.
    #[test]
    fn a_call_by_https_stays_and_one_to_an_unknown_port_is_none() {
        let https = json!({"httpGet": {"port": 8443, "scheme": "HTTPS"}});
        assert_eq!(read(&https), PreStop::Foreign);
        let unknown = json!({"httpGet": {"port": "nowhere"}});
        assert_eq!(read(&unknown), PreStop::Absent);
    }

    /// Our hook is known again, and another container's is not taken for it.
    #[test]
    fn our_hook_is_known_again() {
        assert_eq!(read(&call("app", "secret")), PreStop::Ours);
        assert!(matches!(read(&call("other", "secret")), PreStop::Own(_)));
    }
}
