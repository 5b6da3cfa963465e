//! Every name that Ebb puts on, or reads from, an object of the cluster.
//!
//! They stand in one file because they are a contract with what already runs: a pod that was
//! injected a year ago still carries them.

use std::collections::BTreeMap;

/// The API group of all of Ebb's kinds, and the prefix of its labels and annotations.
pub const GROUP: &str = "ebb.dev";

/// Label on a pod or a namespace: `enabled` asks for the sidecar, `disabled` refuses it and wins.
pub const INJECT_LABEL: &str = "ebb.dev/inject";

/// Label on every pod that carries the sidecar, so that one watch can be narrowed to them.
pub const INJECTED_LABEL: &str = "ebb.dev/injected";

/// Annotation: the pod's own `terminationGracePeriodSeconds` from before the webhook raised it.
/// Its presence is what makes a second pass of the webhook add nothing.
pub const ORIGINAL_GRACE_ANNOTATION: &str = "ebb.dev/original-grace-seconds";

/// Annotation: the id of the key whose signatures the pod's sidecar accepts. A key is kept as long
/// as a pod names it.
pub const KEY_ANNOTATION: &str = "ebb.dev/key";

/// Annotation: why a pod that a policy selects was not injected (one CamelCase word).
pub const REFUSED_ANNOTATION: &str = "ebb.dev/not-injected";

/// Annotation: the containers, by name and separated by commas, whose own preStop hook stays
/// kubelet's (a call by HTTPS, or a command that was left to it). A drain can't hold them.
pub const UNHELD_ANNOTATION: &str = "ebb.dev/not-held";

/// Annotation on a pod: when the app's own preStop hooks run, if they do more than sleep; see
/// [`OwnHookTime`].
pub const OWN_HOOK_ANNOTATION: &str = "ebb.dev/own-hook";

/// Kubernetes' label on a namespace: the Pod Security level that its pods are held to.
pub const POD_SECURITY_LABEL: &str = "pod-security.kubernetes.io/enforce";

/// The name of the sidecar's container in every pod.
pub const SIDECAR_CONTAINER: &str = "ebb";

/// The name of the one-shot init container that writes the redirect rules.
pub const REDIRECT_CONTAINER: &str = "ebb-redirect";

/// The name of the one-shot init container that brings the program of [`hold`](crate::hold) into
/// the pod, and of the volume that it is in.
pub const HOLD_CONTAINER: &str = "ebb-hold";

/// The names of all containers that the webhook puts into a pod.
pub const CONTAINERS: [&str; 3] = [SIDECAR_CONTAINER, REDIRECT_CONTAINER, HOLD_CONTAINER];

/// The port that redirected connections arrive on. 17440 and 17441 are unassigned at IANA.
pub const RELAY_PORT: u16 = 17440;

/// The port of the sidecar's hooks, probes, metrics, status and desired state.
pub const ADMIN_PORT: u16 = 17441;

/// A port that nobody connects to. While the sidecar listens on it, the kernel refuses connections
/// that the relay would have got: so a pod whose capture is transparent refuses what comes while it
/// drains, and one whose sidecar is not there does not.
pub const REFUSAL_PORT: u16 = 17442;

/// Environment variable of the sidecar that holds its [`Bootstrap`](crate::bootstrap::Bootstrap) as
/// JSON.
pub const BOOTSTRAP_VARIABLE: &str = "EBB_BOOTSTRAP";

/// Environment variable of the sidecar: the pod's UID, through the downward API (the webhook cannot
/// know it: an object under admission has none).
pub const POD_UID_VARIABLE: &str = "EBB_POD_UID";

/// Environment variable of the sidecar: the pod's name, through the downward API.
pub const POD_NAME_VARIABLE: &str = "EBB_POD_NAME";

/// Environment variable of the sidecar: the pod's namespace, through the downward API.
pub const POD_NAMESPACE_VARIABLE: &str = "EBB_POD_NAMESPACE";

/// Environment variable of the sidecar: how many threads run connections, 1 where it is not set.
pub const WORKERS_VARIABLE: &str = "EBB_WORKERS";

/// Header of a hook call that carries the pod's token.
pub const TOKEN_HEADER: &str = "ebb-token";

/// Header of `PUT /v1/desired`: the id of the key that signed the body.
pub const KEY_HEADER: &str = "ebb-key";

/// Header of `PUT /v1/desired`: the Ed25519 signature of the body, in standard base64.
pub const SIGNATURE_HEADER: &str = "ebb-signature";

/// The path that kubelet calls as the preStop hook of the given container.
pub fn hook_path(container: &str) -> String {
    format!("/hook/{container}")
}

/// What [`INJECT_LABEL`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inject {
    /// The label is not there.
    Unset,
    /// `enabled`.
    Enabled,
    /// `disabled`.
    Disabled,
    /// Any other value: treated like [`Inject::Unset`].
    Garbage,
}

/// What [`OWN_HOOK_ANNOTATION`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnHookTime {
    /// The annotation is not there: treated like [`OwnHookTime::End`].
    Unset,
    /// `end`: when the drain has ended, as the last thing before SIGTERM.
    End,
    /// `start`: when the drain begins (hooks that deregister elsewhere).
    Start,
    /// `leave`: a command stays kubelet's, and a drain does not hold its container.
    Leave,
    /// Any other value: treated like [`OwnHookTime::Unset`].
    Garbage,
}

impl Inject {
    /// Reads the label from the labels of a pod or a namespace.
    pub fn of(labels: Option<&BTreeMap<String, String>>) -> Inject {
        match labels
            .and_then(|labels| labels.get(INJECT_LABEL))
            .map(String::as_str)
        {
            None => Inject::Unset,
            Some("enabled") => Inject::Enabled,
            Some("disabled") => Inject::Disabled,
            Some(_) => Inject::Garbage,
        }
    }
}

impl OwnHookTime {
    /// Reads the annotation's value, where there is one.
    pub fn of(annotation: Option<&str>) -> OwnHookTime {
        match annotation {
            None => OwnHookTime::Unset,
            Some("end") => OwnHookTime::End,
            Some("start") => OwnHookTime::Start,
            Some("leave") => OwnHookTime::Leave,
            Some(_) => OwnHookTime::Garbage,
        }
    }
}
