//! Pods of servers that Debian packs.
//!
//! Their programs are fetched into the cache, which the nodes see, and stand in the pod beside the
//! system's own shell and C library: so no image has to be made of them, and loaded.

use std::sync::OnceLock;

use ebb_bed::folders::{Folders, INSIDE};
use ebb_clients::trust::files::{self, FOLDER, LIBRARIES, PLACE, PROGRAMS};
use ebb_cluster::namespace::TestNamespace;
use ebb_cluster::web::Web;
use serde_json::{Value, json};

use crate::fixtures::web;

/// What a pod sees of its node: the volume's name, and the path.
const SYSTEM: [(&str, &str); 6] = [
    ("usr", "/usr"),
    ("bin", "/bin"),
    ("lib", "/lib"),
    ("lib64", "/lib64"),
    ("passwd", "/etc/passwd"),
    ("group", "/etc/group"),
];

/// Brings the packages into the cache, once. For the thread that a test begins on: those within the
/// bed's network reach nobody else.
pub(crate) fn fetch() {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let fetched = Folders::from_environment().and_then(|folders| files::fetch(&folders));
        fetched.expect("Debian's packages can be fetched");
    });
}

/// A pod in which a shell does `script`, as root in a folder of its own, and becomes a server with
/// this port.
pub(crate) fn server(namespace: &TestNamespace, name: &str, script: &str, port: u16) -> Web {
    let programs = format!("{INSIDE}/{FOLDER}");
    let own = ["place", "tmp"].map(|name| json!({"name": name, "emptyDir": {}}));
    let shown = [("programs", programs.as_str())].into_iter().chain(SYSTEM);
    let shown = shown.map(|(name, path)| json!({"name": name, "hostPath": {"path": path}}));
    let volumes: Vec<Value> = own.into_iter().chain(shown).collect();
    let own = [("place", PLACE), ("tmp", "/tmp")];
    let own = own.map(|(name, path)| json!({"name": name, "mountPath": path}));
    let shown = [("programs", PROGRAMS)].into_iter().chain(SYSTEM);
    let shown =
        shown.map(|(name, path)| json!({"name": name, "mountPath": path, "readOnly": true}));
    let mounts: Vec<Value> = own.into_iter().chain(shown).collect();
    web(namespace, name)
        .variable(LIBRARIES.0, LIBRARIES.1)
        .pod(json!({"volumes": volumes}))
        .container(json!({
            "command": ["/bin/sh", "-ec", script],
            "workingDir": format!("{PLACE}/server"),
            "securityContext": {"runAsUser": 0, "runAsGroup": 0},
            "volumeMounts": mounts,
            "ports": [{"name": "server", "containerPort": port}],
            "readinessProbe": {"httpGet": null, "tcpSocket": {"port": port}},
        }))
}
