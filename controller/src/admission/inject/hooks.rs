//! The preStop hooks of the app's containers: ours take the place of their own, which the sidecar
//! carries out from then on.

use ebb_api::bootstrap::OwnHook;
use ebb_api::names::{ADMIN_PORT, TOKEN_HEADER, hook_path};
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
    /// A hook that only kubelet can carry out: a command, or a call by HTTPS. It stays where it is,
    /// so a drain can't hold this container.
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

/// Reads the preStop hook of a container. `at_start`: when its own call is to be made.
pub(super) fn pre_stop(container: &Container, at_start: bool) -> PreStop {
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
        } => own_call(get, container, at_start).map_or(PreStop::Foreign, PreStop::Own),
        LifecycleHandler {
            sleep: Some(sleep), ..
        } => PreStop::Own(OwnHook::Sleep {
            seconds: u32::try_from(sleep.seconds).unwrap_or(0),
        }),
        LifecycleHandler {
            exec: Some(exec), ..
        } => slept_by(exec).map_or(PreStop::Foreign, |seconds| {
            PreStop::Own(OwnHook::Sleep { seconds })
        }),
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

fn own_call(get: &HTTPGetAction, container: &Container, at_start: bool) -> Option<OwnHook> {
    if get.scheme.as_deref().unwrap_or("HTTP") != "HTTP" {
        return None;
    }
    let headers = get.http_headers.as_deref().unwrap_or_default();
    let path = get.path.as_deref().unwrap_or("/");
    Some(OwnHook::HttpGet {
        host: get.host.clone().filter(|host| !host.is_empty()),
        port: port_number(&get.port, container)?,
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
        at_start,
    })
}

/// The seconds of a command that does nothing but sleep: `sleep N`, or `sh -c "sleep N"`.
fn slept_by(exec: &ExecAction) -> Option<u32> {
    let command = exec.command.as_deref().unwrap_or_default();
    let words: Vec<&str> = match command {
        [shell, flag, script] if program(shell) == "sh" && flag == "-c" => {
            script.split_ascii_whitespace().collect()
        }
        [shell, flag, script] if program(shell) == "bash" && flag == "-c" => {
            script.split_ascii_whitespace().collect()
        }
        words => words.iter().map(String::as_str).collect(),
    };
    match words.as_slice() {
        [sleep, seconds] if program(sleep) == "sleep" => {
            seconds.strip_suffix('s').unwrap_or(seconds).parse().ok()
        }
        _ => None,
    }
}

/// The name of a program that is given with or without one of the usual folders.
fn program(path: &str) -> &str {
    ["/usr/bin/", "/bin/"]
        .iter()
        .find_map(|folder| path.strip_prefix(folder))
        .unwrap_or(path)
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

    fn exec(command: &Value) -> PreStop {
        pre_stop(&container(&json!({"exec": {"command": command}})), false)
    }

    /// Only a command that certainly does nothing but sleep is taken over; any other one stays with
    /// kubelet, or what it does would be lost.
    #[test]
    fn a_command_is_taken_over_only_if_all_it_does_is_sleep() {
        for command in [
            json!(["sleep", "5"]),
            json!(["/bin/sleep", "5"]),
            json!(["sh", "-c", "sleep 5"]),
            json!(["/bin/sh", "-c", " sleep  5 "]),
            json!(["/usr/bin/bash", "-c", "sleep 5s"]),
        ] {
            let sleep = PreStop::Own(OwnHook::Sleep { seconds: 5 });
            assert_eq!(exec(&command), sleep, "{command}");
        }
        for command in [
            json!([]),
            json!(["sleep"]),
            json!(["sleep", "five"]),
            json!(["sleep", "-5"]),
            json!(["sleep", "5", "6"]),
            json!(["sh", "-c", "sleep 5; deregister"]),
            json!(["sh", "-c", "sleep 5 && deregister"]),
            json!(["sh", "-c", "sleep $DELAY"]),
            json!(["sh", "-x", "sleep 5"]),
            json!(["/opt/sleep", "5"]),
            json!(["nginx", "-s", "quit"]),
        ] {
            assert_eq!(exec(&command), PreStop::Foreign, "{command}");
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
        assert_eq!(pre_stop(&container(&hook), true), PreStop::Own(own));
    }

    /// What the sidecar could not carry out stays where it is.
    #[test]
    fn a_call_by_https_or_to_an_unknown_port_stays() {
        let https = json!({"httpGet": {"port": 8443, "scheme": "HTTPS"}});
        assert_eq!(pre_stop(&container(&https), false), PreStop::Foreign);
        let unknown = json!({"httpGet": {"port": "nowhere"}});
        assert_eq!(pre_stop(&container(&unknown), false), PreStop::Foreign);
    }

    /// Our hook is known again, and another container's is not taken for it.
    #[test]
    fn our_hook_is_known_again() {
        assert_eq!(
            pre_stop(&container(&call("app", "secret")), false),
            PreStop::Ours
        );
        assert!(matches!(
            pre_stop(&container(&call("other", "secret")), false),
            PreStop::Own(_)
        ));
    }
}
