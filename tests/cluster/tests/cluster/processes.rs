//! The processes of pods: the nodes are namespaces of this machine, so they are seen here.

use std::fs;

use anyhow::Result;
use ebb_api::names::POD_UID_VARIABLE;
use ebb_cluster::namespace::TestNamespace;
use ebb_cluster::setup::NAME;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use rustix::process::Pid;

/// The pods of the usual Deployment.
pub(crate) async fn pods(namespace: &TestNamespace) -> Result<Vec<Pod>> {
    let selector = ListParams::default().labels(&format!("app={NAME}"));
    Ok(namespace.api::<Pod>().list(&selector).await?.items)
}

/// The process of a pod's sidecar.
pub(crate) fn sidecar(uid: &str) -> Result<Option<Pid>> {
    with_variables(&[(POD_UID_VARIABLE, uid)])
}

/// A process that was started with these environment variables.
pub(crate) fn with_variables(wanted: &[(&str, &str)]) -> Result<Option<Pid>> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // What ends meanwhile is not what is looked for.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let has = |(name, value): &(&str, &str)| {
            let wanted = format!("{name}={value}");
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable == wanted.as_bytes())
        };
        if wanted.iter().all(has) {
            return Ok(pid.and_then(Pid::from_raw));
        }
    }
    Ok(None)
}
