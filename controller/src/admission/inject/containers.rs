//! What we put into a pod: two init containers and a volume.
//!
//! They take nothing that they don't need: no privilege but the one that the redirect needs, and that
//! only in the container that ends at once; no root file system to write to; none of the app's
//! credentials; no liveness or startup probe that could ever keep the pod from running.

use super::resources::{self, SidecarResources};
use crate::admission::pod::ReviewedPod;
use ebb_api::names::{
    ADMIN_PORT, BOOTSTRAP_VARIABLE, POD_NAME_VARIABLE, POD_NAMESPACE_VARIABLE, POD_UID_VARIABLE,
    REDIRECT_CONTAINER, SIDECAR_CONTAINER, WORKERS_VARIABLE,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::num::NonZeroU8;

/// The volume that keeps the app's service account token out of our containers: the API server
/// mounts the token into every container that has nothing at that path.
pub(super) const NO_TOKEN_VOLUME: &str = "ebb-no-token";

/// Where the token would be.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A user that is nobody in particular, the same as in many images without a distribution.
const SIDECAR_USER: u32 = 65532;

/// What the chart says about our containers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The sidecar's image.
    pub image: String,
    /// When the image is pulled; nothing leaves it to Kubernetes.
    #[serde(default)]
    pub image_pull_policy: Option<String>,
    /// Whether connections may be redirected at all. Without it sidecars only observe.
    pub redirect: bool,
    /// How many threads of a sidecar run connections; one where nothing is said.
    #[serde(default)]
    pub workers: Option<NonZeroU8>,
    /// What they ask of the node.
    pub resources: SidecarResources,
}

/// The one-shot init container that writes the redirect rules.
pub(super) fn redirect(config: &SidecarConfig, pod: &ReviewedPod, bootstrap: &str) -> Value {
    let mut container = common(config, pod, bootstrap);
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
pub(super) fn sidecar(
    config: &SidecarConfig,
    pod: &ReviewedPod,
    bootstrap: &str,
    hook: &Value,
) -> Value {
    let mut container = common(config, pod, bootstrap);
    container["name"] = json!(SIDECAR_CONTAINER);
    container["restartPolicy"] = json!("Always");
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "runAsGroup": SIDECAR_USER,
        "runAsNonRoot": true,
        "runAsUser": SIDECAR_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let several = config.workers.filter(|workers| workers.get() > 1);
    if let (Some(workers), Some(variables)) = (several, container["env"].as_array_mut()) {
        variables.push(json!({"name": WORKERS_VARIABLE, "value": workers.to_string()}));
    }
    container["lifecycle"] = json!({"preStop": hook});
    // One failed probe takes the pod out of its Services: flipping readiness is how a leaving pod
    // gets out of the endpoints, and a second of delay there is a second of new connections.
    container["readinessProbe"] = json!({
        "httpGet": {"path": "/readyz", "port": ADMIN_PORT, "scheme": "HTTP"},
        "periodSeconds": 1,
        "failureThreshold": 1,
    });
    container
}

/// Renews the bootstrap of a container that an earlier pass has put there.
pub(super) fn renew_bootstrap(container: &mut Value, bootstrap: &str) {
    let variables = container["env"].as_array_mut().into_iter().flatten();
    for variable in variables.filter(|variable| variable["name"] == BOOTSTRAP_VARIABLE) {
        variable["value"] = json!(bootstrap);
    }
}

/// The volume over the token's path: it holds nothing.
pub(super) fn no_token_volume() -> Value {
    json!({"name": NO_TOKEN_VOLUME, "downwardAPI": {"items": []}})
}

/// What both containers have: the same image and environment, of which the redirect needs the ports
/// that it is to leave alone.
fn common(config: &SidecarConfig, pod: &ReviewedPod, bootstrap: &str) -> Value {
    let field = |name: &str, path: &str| {
        let source = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
        json!({"name": name, "valueFrom": source})
    };
    let mut container = json!({
        "image": config.image,
        "env": [
            {"name": BOOTSTRAP_VARIABLE, "value": bootstrap},
            field(POD_UID_VARIABLE, "metadata.uid"),
            field(POD_NAME_VARIABLE, "metadata.name"),
            field(POD_NAMESPACE_VARIABLE, "metadata.namespace"),
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": resources::for_pod(pod, &config.resources),
        "volumeMounts": [{"name": NO_TOKEN_VOLUME, "mountPath": TOKEN_PATH, "readOnly": true}],
    });
    if let Some(policy) = &config.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    container
}
