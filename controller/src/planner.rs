//! Asks the plan about whatever has changed, and hands its answers on to push and report.

use crate::cluster::{Changes, Cluster, Gone, SharedCluster, selected_by};
use crate::push::Command;
use crate::report::Notice;
use crate::report::drains::{DrainFacts, PodName};
use ebb_api::settings::Settings;
use ebb_model::plan::leave::leave;
use ebb_model::plan::settings::settings;
use ebb_model::plan::{Wanted, wanted};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The number of pods that are planned for under one hold of the lock: the watches and the webhook
/// wait for it.
const AT_ONCE: usize = 256;

/// Where the answers go.
#[derive(Debug)]
pub struct Outlets {
    /// What goes to the sidecars.
    pub push: mpsc::Sender<Command>,
    /// What goes into statuses and Events.
    pub report: mpsc::Sender<Notice>,
}

/// Which settings each sidecar was last meant to act on, by the UID of its pod.
type Last = HashMap<String, Settings>;

/// Runs until nobody listens any more. To be started when the views are complete: a pod without
/// endpoints, or without a policy, must be known to have none.
pub async fn run(cluster: Arc<SharedCluster>, outlets: Outlets) {
    let noting = cluster.note_changes();
    let mut last = Last::new();
    loop {
        let changes = noting.take();
        if changes == Changes::default() {
            noting.changed().await;
        } else if pass_on(&cluster, changes, &mut last, &outlets)
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Hands on what follows from the changes. Returns `None` when nobody listens any more.
async fn pass_on(
    cluster: &SharedCluster,
    changes: Changes,
    last: &mut Last,
    outlets: &Outlets,
) -> Option<()> {
    for gone in changes.gone {
        last.remove(&gone.pod.uid);
        let forget = Command::Forget(gone.pod.uid.clone());
        outlets.push.send(forget).await.ok()?;
        outlets.report.send(gone_notice(gone)).await.ok()?;
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
        let plans: Vec<_> = cluster.read(|cluster| {
            let plans = pods
                .iter()
                .map(|(namespace, name)| plan(cluster, namespace, name, last));
            plans.flatten().collect()
        });
        for plan in plans {
            pass_on_pod(plan, last, outlets).await?;
        }
    }
    Some(())
}

/// What follows from a pod as it is now.
struct Plan {
    pod: PodName,
    selected_by: Vec<String>,
    /// If it has a sidecar.
    sidecar: Option<SidecarPlan>,
}

struct SidecarPlan {
    /// The state to push, while it runs.
    wanted: Option<Wanted>,
    drain: DrainFacts,
}

fn plan(cluster: &Cluster, namespace: &str, name: &str, last: &Last) -> Option<Plan> {
    let namespace = cluster.namespace(namespace)?;
    let pod = namespace.pod(name)?;
    let sidecar = pod.sidecar.as_ref().map(|sidecar| {
        let last = last.get(&pod.uid).unwrap_or(&sidecar.bootstrap_settings);
        let settings = settings(namespace, pod, last);
        SidecarPlan {
            wanted: wanted(namespace, pod, &settings),
            drain: DrainFacts {
                settings,
                leave: leave(pod),
                state: sidecar.state,
                last: sidecar.last.clone(),
            },
        }
    });
    Some(Plan {
        pod: PodName::of(pod),
        selected_by: selected_by(namespace, name),
        sidecar,
    })
}

async fn pass_on_pod(plan: Plan, last: &mut Last, outlets: &Outlets) -> Option<()> {
    let Plan {
        pod,
        selected_by,
        sidecar,
    } = plan;
    let mut drain = None;
    if let Some(sidecar) = sidecar {
        let command = match sidecar.wanted {
            Some(wanted) => Command::Put(Box::new(wanted)),
            None => Command::Forget(pod.uid.clone()),
        };
        outlets.push.send(command).await.ok()?;
        last.insert(pod.uid.clone(), sidecar.drain.settings.clone());
        drain = Some(Box::new(sidecar.drain));
    }
    let notice = Notice::Seen {
        pod,
        selected_by,
        drain,
    };
    outlets.report.send(notice).await.ok()
}

fn gone_notice(gone: Gone) -> Notice {
    Notice::Gone {
        pod: PodName::of(&gone.pod),
        selected_by: gone.selected_by,
        sidecar: gone.pod.sidecar.map(Box::new),
    }
}

fn pods_of(cluster: &Cluster, namespace: &str) -> BTreeSet<(String, String)> {
    let view = cluster.namespace(namespace).into_iter();
    view.flat_map(|view| view.pods())
        .map(|pod| (namespace.to_owned(), pod.name.clone()))
        .collect()
}
