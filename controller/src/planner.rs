//! Asks the plan about whatever has changed, and hands its answers on to push and report.

use crate::cluster::{Changes, Cluster, SharedCluster};
use crate::push::Command;
use crate::report::Notice;
use ebb_api::settings::Settings;
use ebb_model::plan::{self, Wanted};
use ebb_model::views::PodView;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many pods are looked at under one hold of the lock: the watches and the webhook wait for it.
const AT_ONCE: usize = 256;

/// Where the answers go.
#[derive(Debug)]
pub struct Outlets {
    /// To the sidecars.
    pub push: mpsc::Sender<Command>,
    /// To the API server.
    pub report: mpsc::Sender<Notice>,
}

/// Which settings each sidecar was last meant to act on, by the UID of its pod.
type Last = HashMap<String, Settings>;

/// Goes on as long as somebody listens. To be started when the views are complete: a pod without
/// endpoints, or without a policy, must be known to have none.
pub async fn run(cluster: Arc<SharedCluster>, outlets: Outlets) {
    let mut last = Last::new();
    loop {
        let changes = cluster.take_changes();
        if changes == Changes::default() {
            cluster.changed().await;
        } else if pass_on(&cluster, changes, &mut last, &outlets)
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Answers nothing when nobody listens any more.
async fn pass_on(
    cluster: &SharedCluster,
    changes: Changes,
    last: &mut Last,
    outlets: &Outlets,
) -> Option<()> {
    for pod in changes.gone {
        last.remove(&pod.uid);
        let forget = Command::Forget(pod.uid.clone());
        outlets.push.send(forget).await.ok()?;
        outlets
            .report
            .send(Notice::Gone(Box::new(pod)))
            .await
            .ok()?;
    }
    let mut pods = changes.pods;
    for namespace in changes.namespaces {
        pods.extend(cluster.read(|cluster| pods_of(cluster, &namespace)));
        outlets
            .report
            .send(Notice::Policies(namespace))
            .await
            .ok()?;
    }
    let pods: Vec<_> = pods.into_iter().collect();
    for pods in pods.chunks(AT_ONCE) {
        let seen: Vec<_> = cluster.read(|cluster| {
            let looked_at = pods
                .iter()
                .map(|(namespace, name)| look(cluster, namespace, name, last));
            looked_at.flatten().collect()
        });
        for seen in seen {
            pass_on_pod(seen, last, outlets).await?;
        }
    }
    Some(())
}

/// A pod and what is wanted of it.
struct Seen {
    pod: PodView,
    settings: Settings,
    wanted: Option<Wanted>,
}

fn look(cluster: &Cluster, namespace: &str, name: &str, last: &Last) -> Option<Seen> {
    let namespace = cluster.namespace(namespace)?;
    let pod = namespace.pods.get(name)?;
    let last = last.get(&pod.uid);
    let settings = match (&pod.sidecar, last) {
        (Some(_), Some(last)) => plan::settings::settings(namespace, pod, last),
        (Some(sidecar), None) => {
            plan::settings::settings(namespace, pod, &sidecar.bootstrap_settings)
        }
        (None, _) => Settings::without_policy(),
    };
    Some(Seen {
        pod: pod.clone(),
        wanted: plan::wanted(namespace, pod, &settings),
        settings,
    })
}

async fn pass_on_pod(seen: Seen, last: &mut Last, outlets: &Outlets) -> Option<()> {
    let Seen {
        pod,
        settings,
        wanted,
    } = seen;
    if pod.sidecar.is_some() {
        let command = match wanted {
            Some(wanted) => Command::Put(Box::new(wanted)),
            None => Command::Forget(pod.uid.clone()),
        };
        outlets.push.send(command).await.ok()?;
        last.insert(pod.uid.clone(), settings.clone());
    }
    let notice = Notice::Seen {
        pod: Box::new(pod),
        settings: Box::new(settings),
    };
    outlets.report.send(notice).await.ok()
}

fn pods_of(cluster: &Cluster, namespace: &str) -> BTreeSet<(String, String)> {
    let view = cluster.namespace(namespace).into_iter();
    view.flat_map(|view| view.pods.keys())
        .map(|pod| (namespace.to_owned(), pod.clone()))
        .collect()
}
