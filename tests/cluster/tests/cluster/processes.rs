//! The processes of pods, and their networks: the nodes are namespaces of this machine, so they are
//! seen here.

use std::fs;

use anyhow::{Context as _, Result};
use ebb_api::names::POD_UID_VARIABLE;
use ebb_cluster::namespace::TestNamespace;
use ebb_cluster::setup::NAME;
use ebb_netns::namespace::Namespace;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use rustix::process::{Pid, Signal, kill_process};

/// A process that stands still until this is dropped.
pub(crate) struct Stopped(Pid);

impl Stopped {
    pub(crate) fn process(pid: Pid) -> Result<Stopped> {
        kill_process(pid, Signal::STOP)?;
        Ok(Stopped(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // One that has ended needs no signal.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

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
    find("environ", |environment| {
        wanted.iter().all(|(name, value)| {
            let wanted = format!("{name}={value}");
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable == wanted.as_bytes())
        })
    })
}

/// Does `work` in the network of a pod, on a thread and a runtime of its own: as a client there.
pub(crate) async fn inside<T, F>(pod: &Pod, work: F) -> Result<T>
where
    T: Send + 'static,
    F: AsyncFnOnce() -> Result<T> + Send + 'static,
{
    let network = network(pod)?;
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(work())
    };
    tokio::task::spawn_blocking(move || network.inside(run)).await?
}

/// The network of a pod that runs, whatever runs in it: kubelet names its cgroups by its UID.
fn network(pod: &Pod) -> Result<Namespace> {
    let uid = pod.metadata.uid.as_ref().context("a pod without a UID")?;
    let found = find("cgroup", |groups| {
        String::from_utf8_lossy(groups).contains(uid.as_str())
    })?;
    let pid = found.with_context(|| format!("the pod {uid} has no process"))?;
    Namespace::of(pid.as_raw_nonzero().get().unsigned_abs())
}

/// A process of whose file below `/proc` this is true.
fn find(file: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Pid>> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // What ends meanwhile is not what is looked for.
        let content = fs::read(entry.path().join(file)).unwrap_or_default();
        if let Some(pid) = pid
            && wanted(&content)
        {
            return Ok(Pid::from_raw(pid));
        }
    }
    Ok(None)
}
