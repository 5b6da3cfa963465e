//! What plans and acts: from the views to sidecars, statuses and Events.
//!
//! It reads the views and keeps what it has found out to itself. What every replica has, the views
//! among it, is in [`app`](super).

use super::tasks::Tasks;
use crate::cluster::SharedCluster;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::planner::{self, Outlets};
use crate::push::{Push, Sign};
use crate::report::{Reports, events};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// The most messages that wait between two rooms.
const QUEUE: usize = 1024;

/// What the acting parts are made of.
pub(super) struct Acting {
    /// The views, which others keep up to date.
    pub(super) cluster: Arc<SharedCluster>,
    /// Writes statuses and Events.
    pub(super) client: Client,
    /// Signs what is pushed to sidecars.
    pub(super) keyring: watch::Receiver<Arc<Keyring>>,
    /// The chart's `sidecar.redirect`.
    pub(super) redirect: bool,
    /// The pod of this process, which signs the Events.
    pub(super) pod_name: Option<String>,
    /// Where all of them count.
    pub(super) metrics: Arc<Metrics>,
}

impl Acting {
    /// Starts to act as soon as the views are `complete`.
    pub(super) fn start(
        self,
        tasks: &mut Tasks,
        complete: impl Future<Output = ()> + Send + 'static,
    ) {
        let Acting {
            cluster,
            client,
            keyring,
            redirect,
            pod_name,
            metrics,
        } = self;
        let (to_push, commands) = mpsc::channel(QUEUE);
        let (to_report, notices) = mpsc::channel(QUEUE);
        let (learned, news) = mpsc::channel(QUEUE);

        let push = Push::new(Arc::new(Signer(keyring)), Arc::clone(&metrics), learned);
        tasks.spawn("push", push.run(commands));

        let (events, notes) = events::Events::channel(Arc::clone(&metrics));
        let reporter = Reporter {
            controller: "ebb-controller".to_owned(),
            instance: pod_name,
        };
        let recorder = Recorder::new(client.clone(), reporter);
        let writing = events::write(recorder, notes, Arc::clone(&metrics));
        tasks.spawn_finishing("events", writing);

        let reports = Reports::new(Arc::clone(&cluster), redirect, client, metrics, events);
        tasks.spawn_finishing("report", reports.run(notices, news));

        let outlets = Outlets {
            push: to_push,
            report: to_report,
        };
        tasks.spawn("plan", async move {
            complete.await;
            planner::run(cluster, outlets).await;
        });
    }
}

/// Signs with the keys that are in the Secret now.
struct Signer(watch::Receiver<Arc<Keyring>>);

impl Sign for Signer {
    fn sign(&self, key: &str, body: &[u8]) -> Option<String> {
        let keyring = Arc::clone(&self.0.borrow());
        keyring.sign(key, body)
    }
}
