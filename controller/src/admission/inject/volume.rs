//! The volume that keeps the app's credentials the app's.
//!
//! The API server mounts the service account's token into every container that has nothing at its
//! path. Our containers have this empty volume there.

use serde_json::{Value, json};

/// The volume's name.
pub(super) const NO_TOKEN_VOLUME: &str = "ebb-no-token";

/// Where the token would be.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Puts the volume beside the pod's others, unless it is there.
pub(super) fn put(spec: &mut Value) {
    let volume = json!({"name": NO_TOKEN_VOLUME, "downwardAPI": {"items": []}});
    add(&mut spec["volumes"], volume);
}

/// Adds a volume or a mount to a list of them, unless one of its name is there.
pub(super) fn add(list: &mut Value, added: Value) {
    if let Some(list) = list.as_array_mut() {
        if !list.iter().any(|other| other["name"] == added["name"]) {
            list.push(added);
        }
    } else {
        *list = json!([added]);
    }
}

/// The mount in each of our containers.
pub(super) fn mount() -> Value {
    json!({"name": NO_TOKEN_VOLUME, "mountPath": TOKEN_PATH, "readOnly": true})
}
