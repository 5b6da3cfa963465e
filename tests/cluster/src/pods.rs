//! Pods, from the outside: their addresses, their reports, and a recorder of what they do to their
//! end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use ebb_api::names::{ADMIN_PORT, SIDECAR_CONTAINER};
use ebb_api::report::{FinalReport, Report};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{LogParams, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::ask;
use super::namespace::TestNamespace;
use crate::eventually;

/// How long a pod of the sample application may take to be ready: many times what it does.
const READY: Duration = Duration::from_secs(90);

/// How long an answer of a sidecar's admin port may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Waits until a pod is ready, and returns it.
pub async fn ready(namespace: &TestNamespace, name: &str) -> Result<Pod> {
    let pods = namespace.api::<Pod>();
    eventually(&format!("the pod {name} to be ready"), READY, async || {
        let pod = pods.get(name).await?;
        ensure!(
            is_ready(&pod),
            "it is {:?}",
            pod.status.and_then(|status| status.phase)
        );
        Ok(pod)
    })
    .await
}

/// Whether the pod's condition Ready is true.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The address of a port of a pod.
pub fn address(pod: &Pod, port: u16) -> Result<SocketAddr> {
    let ip = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_deref())
        .context("the pod has no address")?;
    Ok(SocketAddr::new(ip.parse()?, port))
}

/// What the pod's sidecar says about itself now.
pub async fn report(pod: &Pod) -> Result<Report> {
    let answer = ask(address(pod, ADMIN_PORT)?, "GET", "/v1/status", ANSWER).await?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("no answer: {answer:?}"))?;
    serde_json::from_str(body.trim()).with_context(|| format!("not a report: {body}"))
}

/// The status of one of the pod's containers, native sidecars included.
pub fn container<'pod>(pod: &'pod Pod, name: &str) -> Option<&'pod ContainerStatus> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten())
        .find(|status| status.name == name)
}

/// Whether the pod carries the sidecar.
pub fn is_injected(pod: &Pod) -> bool {
    let containers = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    containers
        .into_iter()
        .any(|container| container.name == SIDECAR_CONTAINER)
}

/// One line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When the container runtime got it, in milliseconds since 1970.
    pub at: u64,
    /// What it says.
    pub text: String,
}

/// Watches one pod to its end and beyond: keeps its log lines and its last state, which the cluster
/// forgets with the pod.
pub struct PodRecorder {
    pod: String,
    lines: Arc<Mutex<Vec<(String, Line)>>>,
    last: watch::Receiver<PodRecord>,
    _tasks: JoinSet<()>,
}

/// How a pod was last seen.
#[derive(Clone, Debug, Default)]
pub struct PodRecord {
    /// Its last state.
    pub pod: Option<Pod>,
    /// When its deletionTimestamp was seen first, in milliseconds since 1970 by our own clock.
    pub leaving_at: Option<u64>,
    /// When it was gone, in the same way.
    pub gone_at: Option<u64>,
}

// === impl PodRecorder ===

impl PodRecorder {
    /// Begins to watch a pod that runs, and the logs of these of its containers.
    pub async fn of(namespace: &TestNamespace, pod: &str, containers: &[&str]) -> Result<Self> {
        let pods = namespace.api::<Pod>();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (recorded, last) = watch::channel(PodRecord::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_to_the_end(pods.clone(), pod.to_owned(), recorded));
        for container in containers {
            tasks.spawn(follow_log(
                pods.clone(),
                pod.to_owned(),
                (*container).to_owned(),
                lines.clone(),
            ));
        }
        let mut recorder = Self {
            pod: pod.to_owned(),
            lines,
            last,
            _tasks: tasks,
        };
        recorder
            .until("is seen", Duration::from_secs(10), |record| {
                record.pod.is_some()
            })
            .await?;
        Ok(recorder)
    }

    /// Waits until the pod is gone, and returns how it was last seen.
    pub async fn gone(&mut self, limit: Duration) -> Result<PodRecord> {
        self.until("is gone", limit, |record| record.gone_at.is_some())
            .await
    }

    /// Waits until the pod is seen in some way.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        seen: impl FnMut(&PodRecord) -> bool,
    ) -> Result<PodRecord> {
        let pod = self.pod.clone();
        let record = tokio::time::timeout(limit, self.last.wait_for(seen)).await;
        let record = record
            .with_context(|| format!("waited {limit:.0?} in vain until the pod {pod} {what}"))?;
        Ok(record
            .with_context(|| format!("the watch of the pod {pod} ended"))?
            .clone())
    }

    /// The lines of a container's log up to now.
    pub fn lines(&self, container: &str) -> Vec<Line> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter(|(from, _)| from == container)
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// Waits for a line of a container's log that contains `part`.
    pub async fn line(&self, container: &str, part: &str, limit: Duration) -> Result<Line> {
        eventually(&format!("{container} to log {part:?}"), limit, async || {
            let lines = self.lines(container);
            lines
                .into_iter()
                .find(|line| line.text.contains(part))
                .with_context(|| {
                    let all: Vec<String> = self
                        .lines(container)
                        .into_iter()
                        .map(|line| line.text)
                        .collect();
                    format!("it logged\n{}", all.join("\n"))
                })
        })
        .await
    }

    /// Waits for an event of the sample application, and returns its whole line.
    pub async fn app_event(&self, event: &str, limit: Duration) -> Result<Value> {
        let line = self
            .line("app", &format!("\"event\":\"{event}\""), limit)
            .await?;
        serde_json::from_str(&line.text).with_context(|| line.text)
    }
}

impl PodRecord {
    /// The sidecar's final report: its termination message.
    pub fn final_report(&self) -> Result<FinalReport> {
        let pod = self.pod.as_ref().context("the pod was never seen")?;
        let status = container(pod, SIDECAR_CONTAINER).context("the pod has no sidecar")?;
        let state = status.state.clone().unwrap_or_default();
        let message = state
            .terminated
            .as_ref()
            .and_then(|end| end.message.clone());
        let message = message.ok_or_else(|| anyhow!("no termination message in {state:?}"))?;
        serde_json::from_str(&message).with_context(|| format!("not a final report: {message}"))
    }
}

async fn watch_to_the_end(pods: Api<Pod>, name: String, recorded: watch::Sender<PodRecord>) {
    let only = WatchParams::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(290)
        .disable_bookmarks();
    while recorded.borrow().gone_at.is_none() {
        // A watch that starts from "0" begins with the present state, so nothing is lost between
        // two. It asks for no bookmarks, which an API server on an old etcd refuses to such a
        // watch.
        let Ok(stream) = pods.watch(&only, "0").await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut stream = std::pin::pin!(stream);
        while let Ok(Some(event)) = stream.try_next().await {
            let now = ebb_sample_app::log::now_ms();
            let (pod, gone) = match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
                WatchEvent::Deleted(pod) => (pod, true),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(_) => break,
            };
            recorded.send_modify(|record| {
                if pod.metadata.deletion_timestamp.is_some() {
                    record.leaving_at.get_or_insert(now);
                }
                record.gone_at = gone.then_some(now);
                record.pod = Some(pod);
            });
            if gone {
                return;
            }
        }
    }
}

async fn follow_log(
    pods: Api<Pod>,
    pod: String,
    container: String,
    lines: Arc<Mutex<Vec<(String, Line)>>>,
) {
    let params = LogParams {
        container: Some(container.clone()),
        follow: true,
        timestamps: true,
        ..LogParams::default()
    };
    let Ok(stream) = pods.log_stream(&pod, &params).await else {
        return;
    };
    let mut stream = std::pin::pin!(stream.lines());
    while let Some(Ok(line)) = stream.next().await {
        let (time, text) = line.split_once(' ').unwrap_or(("", &line));
        let at = time
            .parse::<Timestamp>()
            .map(|time| time.as_millisecond())
            .unwrap_or_default();
        let line = Line {
            at: u64::try_from(at).unwrap_or_default(),
            text: text.to_owned(),
        };
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((container.clone(), line));
    }
}
