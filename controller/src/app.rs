//! The wiring: every socket, channel and long-lived task of the process, on one page.

use crate::admin;
use crate::admission::{self, Admission};
use crate::api_server::Clients;
use crate::certificate::{self, Webhook};
use crate::cluster::SharedCluster;
use crate::config::Config;
use crate::keyring::{self, Keyring};
use crate::metrics::Metrics;
use crate::planner::{self, Outlets};
use crate::push::{Push, Sign};
use crate::readiness::Readiness;
use crate::report::{Reports, events};
use crate::server;
use crate::watch::{self, endpoints};
use anyhow::{Context, bail};
use ebb_api::policy::DrainPolicy;
use ebb_model::views::{NarrowPod, NarrowSlice};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The Service in front of the webhook, in the controller's namespace.
const WEBHOOK_SERVICE: &str = "ebb-webhook";
/// The MutatingWebhookConfiguration that names it.
const WEBHOOK_CONFIGURATION: &str = "ebb";
/// How much one room may be behind the one before it.
const QUEUE: usize = 1024;
/// How long open calls and due writes are waited for at the end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Runs the controller until `stop` is cancelled.
///
/// # Errors
///
/// Fails if it cannot start, or if a task ends that must live as long as the process.
pub async fn run(config: Config, clients: Clients, stop: CancellationToken) -> anyhow::Result<()> {
    let cluster = Arc::new(SharedCluster::default());
    let readiness = Readiness::default();
    let mut registry = Registry::with_prefix("ebb_controller");
    let metrics = Arc::new(Metrics::register(&mut registry));
    let mut tasks: JoinSet<&'static str> = JoinSet::new();
    let mut finishing: JoinSet<&'static str> = JoinSet::new();

    // Watch: from the API server to the views.
    let caches = Readiness::default();
    let complete = readiness.guard("caches");
    macro_rules! follow {
        ($name:literal, $kind:ty, $config:expr) => {{
            let (cluster, guard) = (Arc::clone(&cluster), caches.guard($name));
            let api: Api<$kind> = Api::all(clients.watch.clone());
            tasks.spawn(async move {
                watch::follow(&cluster, api, $config, guard).await;
                $name
            });
        }};
    }
    let all = watcher::Config::default;
    follow!("policies", DeserializeGuard<DrainPolicy>, all());
    follow!("namespaces", PartialObjectMeta<Namespace>, all());
    follow!("endpoints", NarrowSlice, endpoints::config());
    follow!("pods", NarrowPod, all());

    // The keys and the certificate, then the webhook, which reads the views.
    let client = clients.call;
    let namespace = config.namespace.clone();
    let keyring = keyring::load(&client, &namespace).await?;
    let (keys, keyring) = latest::channel(Arc::new(keyring));
    let following = keyring::follow(client.clone(), namespace, keys);
    tasks.spawn(async move {
        following.await;
        "keyring"
    });
    let webhook = Webhook {
        namespace: config.namespace.clone(),
        service: WEBHOOK_SERVICE.to_owned(),
        configuration: WEBHOOK_CONFIGURATION.to_owned(),
    };
    let (_, certified) = certificate::load(&client, &webhook).await?;
    let (certificates, served) = latest::channel(certified);
    let trusted = readiness.guard("webhook trusted");
    let following = certificate::follow(client.clone(), webhook, certificates, trusted);
    tasks.spawn(async move {
        following.await;
        "certificate"
    });
    let redirect = config.sidecar.redirect;
    let admission = Admission {
        cluster: Arc::clone(&cluster),
        keyring: keyring.clone(),
        sidecar: config.sidecar,
        metrics: admission::Metrics::register(registry.sub_registry_with_prefix("admission")),
    };
    let bound = server::bind(admission::port(config.webhook, served))
        .await
        .with_context(|| format!("cannot listen for the webhook at {}", config.webhook))?;
    info!(webhook = %bound.address(), "listening");
    let serving = bound.serve(admission::router(admission), stop.clone());
    finishing.spawn(async move {
        serving.await;
        "webhook"
    });

    // Plan: from the views to push and report.
    let (to_push, commands) = mpsc::channel(QUEUE);
    let (report, notices) = mpsc::channel(QUEUE);
    let (learned, news) = mpsc::channel(QUEUE);
    let push = Push::new(Arc::new(Signer(keyring)), Arc::clone(&metrics), learned);
    tasks.spawn(async move {
        push.run(commands).await;
        "push"
    });
    let (events, notes) = events::Events::channel(Arc::clone(&metrics));
    let reporter = Reporter {
        controller: "ebb-controller".to_owned(),
        instance: config.pod_name,
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let writing = events::write(recorder, notes, Arc::clone(&metrics));
    finishing.spawn(async move {
        writing.await;
        "events"
    });
    let reports = Reports::new(
        Arc::clone(&cluster),
        redirect,
        client,
        Arc::clone(&metrics),
        events,
    );
    finishing.spawn(async move {
        reports.run(notices, news).await;
        "report"
    });
    let outlets = Outlets {
        push: to_push,
        report,
    };
    tasks.spawn(async move {
        caches.ready().await;
        drop(complete);
        planner::run(cluster, outlets).await;
        "plan"
    });

    // The controller's own port.
    let bound = server::bind(admin::port(config.admin))
        .await
        .with_context(|| format!("cannot listen at {}", config.admin))?;
    info!(admin = %bound.address(), "listening");
    let serving = bound.serve(admin::router(readiness, registry), stop.clone());
    finishing.spawn(async move {
        serving.await;
        "admin"
    });

    tokio::select! {
        () = stop.cancelled() => {}
        Some(ended) = tasks.join_next() => bail!("{} ended, and must not", name(ended)),
        Some(ended) = finishing.join_next() => bail!("{} ended, and must not", name(ended)),
    }
    // Nothing new comes in; what is under way is finished: answers, due statuses, Events.
    tasks.shutdown().await;
    let finished = async { while finishing.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORK, finished).await.is_err() {
        warn!(within = ?LAST_WORK, "stopped with Events unwritten or calls open");
    }
    Ok(())
}

fn name(ended: Result<&'static str, tokio::task::JoinError>) -> String {
    ended.map_or_else(|error| format!("a task ({error})"), str::to_owned)
}

/// Signs with the keys that are in the Secret now.
struct Signer(latest::Receiver<Arc<Keyring>>);

impl Sign for Signer {
    fn sign(&self, key: &str, body: &[u8]) -> Option<String> {
        let keyring = Arc::clone(&self.0.borrow());
        keyring.sign(key, body)
    }
}
