//! Hooks of the app that are commands: they run in their container, behind the program `ebb-hold`.
//!
//! Only pods with such a hook get what brings the program: a volume, an init container that fills
//! it, and a mount in each container that runs it. The volume is in memory: the cluster autoscaler
//! takes such a pod for one that can move, which it does not with an emptyDir on disk. (`kubectl
//! drain` makes no difference between the two: see docs/policy.md.)

use super::containers::{self, Parts};
use super::volume;
use ebb_api::hold::{FOLDER, Held, INSTALL, PROGRAM, PROGRAM_IN_IMAGE};
use ebb_api::names::HOLD_CONTAINER;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

/// Twice what the program needs.
const VOLUME_SIZE: &str = "4Mi";

/// The hook in the place of the container's own.
pub(super) fn hook(held: &Held) -> Value {
    json!({"exec": {"command": held.words()}})
}

/// The container's own command, where an earlier pass has put ours in front of it.
pub(super) fn own_command(container: &Container, command: &[String]) -> Option<Vec<String>> {
    let ours = command.strip_prefix(&[PROGRAM.to_owned()])?;
    let held = Held::parse(ours).ok()?;
    // Another container's hook is none that we wrote here.
    (held.container == container.name).then_some(held.command)
}

/// Whether something of the container's own is mounted where the program is to be.
pub(super) fn is_folder_taken(container: &Container) -> bool {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    mounts.iter().any(|mount| {
        let below = mount.mount_path.strip_prefix(FOLDER);
        mount.name != HOLD_CONTAINER && below.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    })
}

/// Brings the program into a container.
pub(super) fn mount(container: &mut Value) {
    let mount = json!({"name": HOLD_CONTAINER, "mountPath": FOLDER, "readOnly": true});
    volume::add(&mut container["volumeMounts"], mount);
}

/// Brings it into the pod: the volume, and in front of all init containers the one that fills it.
/// One that is there stays as it is.
pub(super) fn put(spec: &mut Value, parts: Parts<'_>) {
    let memory = json!({"medium": "Memory", "sizeLimit": VOLUME_SIZE});
    let filled = json!({"name": HOLD_CONTAINER, "emptyDir": memory});
    volume::add(&mut spec["volumes"], filled);
    let Some(init) = spec["initContainers"].as_array_mut() else {
        return;
    };
    if !init.iter().any(|it| it["name"] == HOLD_CONTAINER) {
        init.insert(0, container(parts));
    }
}

/// The one-shot init container. It passes Pod Security `restricted`.
fn container(parts: Parts<'_>) -> Value {
    let mut container = containers::bare(parts);
    container["name"] = json!(HOLD_CONTAINER);
    container["command"] = json!([PROGRAM_IN_IMAGE, INSTALL, PROGRAM]);
    container["securityContext"] = containers::unprivileged();
    container["volumeMounts"] = json!([
        volume::mount(),
        {"name": HOLD_CONTAINER, "mountPath": FOLDER},
    ]);
    container
}
