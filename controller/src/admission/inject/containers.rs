//! Our init containers that are in every pod: the redirect and the sidecar.
//!
//! They have what they need and no more: no privilege but the one that the redirect needs, and that
//! only in the container that ends at once; no root file system to write to; none of the app's
//! credentials; no liveness or startup probe that could ever keep the pod from running.

use super::resources::{ContainerResources, SidecarResources};
use super::{hooks, volume};
use crate::admission::pod::ReviewedPod;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::Mode;
use ebb_api::names::{
    ADMIN_PORT, BOOTSTRAP_VARIABLE, HOLD_CONTAINER, POD_NAME_VARIABLE, POD_NAMESPACE_VARIABLE,
    POD_UID_VARIABLE, REDIRECT_CONTAINER, SIDECAR_CONTAINER, WORKERS_VARIABLE,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::num::NonZeroU8;

/// An unprivileged user, the same number as in many distroless images.
const SIDECAR_USER: u32 = 65532;

/// What the chart says about our containers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The sidecar's image.
    pub image: String,
    /// When the image is pulled; `None` leaves it to Kubernetes.
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    /// Whether connections may be redirected at all. Without it sidecars only observe.
    pub redirect: bool,
    /// How many threads of a sidecar run connections; `None` is one.
    #[serde(default)]
    pub workers: Option<NonZeroU8>,
    /// What they ask of the node.
    pub resources: SidecarResources,
}

/// What our containers are made of, whichever it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) config: &'a SidecarConfig,
    pub(super) resources: &'a ContainerResources,
}

/// A pod's init containers, ours apart from the others.
struct InitContainers {
    /// See `hold`.
    hold: Option<Value>,
    redirect: Option<Value>,
    sidecar: Option<Value>,
    others: Vec<Value>,
}

/// Puts our containers in front of all init containers. What an earlier pass has put there is
/// replaced.
pub(super) fn put(spec: &mut Value, parts: Parts<'_>, bootstrap: &Bootstrap) {
    let mut all = InitContainers::take(spec);
    all.hold = None;
    all.sidecar = Some(sidecar(parts, bootstrap));
    let needs_init = bootstrap.capture.needs_init();
    all.redirect = needs_init.then(|| redirect(parts, bootstrap));
    all.put(spec);
}

/// Renews the bootstrap of the containers that an earlier pass has put there, and moves them to the
/// front again. Otherwise they stay as they are, whatever others have made of them.
pub(super) fn renew(spec: &mut Value, bootstrap: &Bootstrap) {
    let text = text(bootstrap);
    let mut all = InitContainers::take(spec);
    for container in [&mut all.redirect, &mut all.sidecar].into_iter().flatten() {
        let variables = container["env"].as_array_mut().into_iter().flatten();
        for variable in variables.filter(|variable| variable["name"] == BOOTSTRAP_VARIABLE) {
            variable["value"] = json!(text);
        }
    }
    all.put(spec);
}

/// How many init containers the pod has beside ours.
pub(super) fn others(pod: &ReviewedPod) -> u32 {
    const OURS: [&str; 3] = [HOLD_CONTAINER, REDIRECT_CONTAINER, SIDECAR_CONTAINER];
    let all = pod.init_containers().iter();
    let others = all.filter(|container| !OURS.contains(&container.name.as_str()));
    u32::try_from(others.count()).unwrap_or(u32::MAX)
}

// === impl InitContainers ===

impl InitContainers {
    fn take(spec: &mut Value) -> InitContainers {
        let mut all = InitContainers {
            hold: None,
            redirect: None,
            sidecar: None,
            others: Vec::new(),
        };
        let mut list = spec["initContainers"].take();
        for container in list.as_array_mut().into_iter().flatten() {
            let container = container.take();
            match container["name"].as_str() {
                Some(HOLD_CONTAINER) => all.hold = Some(container),
                Some(REDIRECT_CONTAINER) => all.redirect = Some(container),
                Some(SIDECAR_CONTAINER) => all.sidecar = Some(container),
                _ => all.others.push(container),
            }
        }
        all
    }

    fn put(self, spec: &mut Value) {
        let steps = self.hold.into_iter().chain(self.redirect);
        let ours = steps.chain(self.sidecar);
        spec["initContainers"] = ours.chain(self.others).collect();
    }
}

/// The one-shot init container that writes the redirect rules.
fn redirect(parts: Parts<'_>, bootstrap: &Bootstrap) -> Value {
    let mut container = common(parts, bootstrap);
    container["name"] = json!(REDIRECT_CONTAINER);
    container["args"] = json!(["redirect"]);
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "readOnlyRootFilesystem": true,
        "runAsGroup": 0,
        "runAsNonRoot": false,
        "runAsUser": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    container
}

/// The sidecar.
fn sidecar(parts: Parts<'_>, bootstrap: &Bootstrap) -> Value {
    let mut container = common(parts, bootstrap);
    container["name"] = json!(SIDECAR_CONTAINER);
    container["restartPolicy"] = json!("Always");
    let mut context = unprivileged();
    if bootstrap.capture.modes.contains(&Mode::Transparent) {
        // Sockets with others' addresses (IP_TRANSPARENT).
        context["capabilities"]["add"] = json!(["NET_RAW"]);
    }
    container["securityContext"] = context;
    let several = parts.config.workers.filter(|workers| workers.get() > 1);
    if let (Some(workers), Some(variables)) = (several, container["env"].as_array_mut()) {
        variables.push(json!({"name": WORKERS_VARIABLE, "value": workers.to_string()}));
    }
    container["lifecycle"] = json!({"preStop": hooks::call(SIDECAR_CONTAINER, &bootstrap.token)});
    container["readinessProbe"] = readiness_probe();
    container
}

/// The security context of a container that needs nothing; it passes Pod Security `restricted`.
pub(super) fn unprivileged() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "runAsGroup": SIDECAR_USER,
        "runAsNonRoot": true,
        "runAsUser": SIDECAR_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// How kubelet asks whether the pod is in service.
///
/// One answer of 503 takes the pod out of its Services, at once: that is how a leaving pod gets out
/// of the endpoints, and a second of delay there is a second of new connections. A sidecar that is
/// slow to answer is no reason to: kubelet makes one probe at a time, over a connection of its own,
/// and counts a failure only when the answer is one or the timeout is over
/// (pkg/kubelet/prober/worker.go and pkg/probe/http/http.go of Kubernetes 1.35). So a sidecar that
/// stands still for less than the timeout answers the probe that waits for it, and nothing happens.
fn readiness_probe() -> Value {
    json!({
        "httpGet": {"path": "/readyz", "port": ADMIN_PORT, "scheme": "HTTP"},
        "periodSeconds": 1,
        "timeoutSeconds": 3,
        "failureThreshold": 1,
    })
}

/// What both containers have: the same image and environment, of which the redirect needs the ports
/// that it is to leave alone.
fn common(parts: Parts<'_>, bootstrap: &Bootstrap) -> Value {
    let field = |name: &str, path: &str| {
        let source = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
        json!({"name": name, "valueFrom": source})
    };
    let mut container = bare(parts);
    container["env"] = json!([
        {"name": BOOTSTRAP_VARIABLE, "value": text(bootstrap)},
        field(POD_UID_VARIABLE, "metadata.uid"),
        field(POD_NAME_VARIABLE, "metadata.name"),
        field(POD_NAMESPACE_VARIABLE, "metadata.namespace"),
    ]);
    container
}

/// What every container of ours has.
pub(super) fn bare(parts: Parts<'_>) -> Value {
    let config = parts.config;
    let mut container = json!({
        "image": config.image,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": parts.resources.object(),
        "volumeMounts": [volume::mount()],
    });
    if let Some(policy) = &config.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    container
}

fn text(bootstrap: &Bootstrap) -> String {
    serde_json::to_string(bootstrap).expect("a bootstrap is made of strings, numbers and lists")
}
