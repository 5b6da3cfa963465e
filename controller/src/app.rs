//! The wiring: every socket, channel and long-lived task of the process.
//!
//! Here is what every replica has: the watches that feed the views, the keys and the certificate,
//! the webhook and the controller's own port. What only the leader does is in `leading`.

mod leading;
mod tasks;

use crate::admin;
use crate::admission::{self, Admission};
use crate::api_server::Clients;
use crate::certificate::{self, Served, Webhook};
use crate::cluster::SharedCluster;
use crate::config::Config;
use crate::hexadecimal::hexadecimal;
use crate::keyring::{self, Keyring};
use crate::lease::{self, Candidate};
use crate::metrics::Metrics;
use crate::readiness::{Guard, Readiness};
use crate::server;
use crate::watch::{self, Watched, endpoints};
use anyhow::{Context, bail};
use ebb_api::policy::DrainPolicy;
use ebb_model::views::{NarrowPod, NarrowSlice};
use k8s_openapi::api::core::v1::{LimitRange, Namespace};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client};
use leading::Leading;
use prometheus_client::registry::Registry;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;
use tokio::sync::watch as latest;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The Service in front of the webhook, in the controller's namespace.
const WEBHOOK_SERVICE: &str = "ebb-webhook";
/// The MutatingWebhookConfiguration that names it.
const WEBHOOK_CONFIGURATION: &str = "ebb";
/// How long open calls and due writes are waited for at the end. What is written after the end of
/// the Lease, which is not renewed meanwhile, is left out.
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
    let mut tasks = Tasks::default();

    let complete = readiness.guard("caches");
    let caches = follow_all(&mut tasks, &cluster, &clients.watch);
    let client = clients.call;
    let keyring = follow_keys(&mut tasks, &client, &config.namespace).await?;
    let trusted = readiness.guard("webhook trusted");
    let served = follow_certificate(&mut tasks, &client, &config.namespace, trusted).await?;

    let identity = config.pod_name.clone().unwrap_or_else(nameless);
    let (candidate, leadership) =
        Candidate::new(client.clone(), &config.namespace, identity.clone());
    let leading = Leading {
        cluster: Arc::clone(&cluster),
        client: client.clone(),
        keyring: keyring.clone(),
        redirect: config.sidecar.redirect,
        pod_name: config.pod_name,
        metrics,
    };
    let admission = Admission {
        cluster,
        keyring,
        sidecar: config.sidecar,
        metrics: admission::Metrics::register(registry.sub_registry_with_prefix("admission")),
    };
    let webhook = server::bind(admission::port(config.webhook, served))
        .await
        .with_context(|| format!("cannot listen for the webhook at {}", config.webhook))?;
    info!(webhook = %webhook.address(), "listening");
    let serving = webhook.serve(admission::router(admission), stop.clone());
    tasks.spawn_finishing("webhook", serving);

    tasks.spawn("lease", async move {
        // Nobody leads who does not know what there is.
        caches.ready().await;
        drop(complete);
        candidate.run().await;
    });
    let (stopping, namespace) = (stop.clone(), config.namespace.clone());
    tasks.spawn_finishing("leading", async move {
        leading.run(leadership, stopping).await;
        // Before the webhook's last calls have ended: another can lead meanwhile.
        lease::release(client, &namespace, &identity).await;
    });

    let admin = server::bind(admin::port(config.admin))
        .await
        .with_context(|| format!("cannot listen at {}", config.admin))?;
    info!(admin = %admin.address(), "listening");
    let serving = admin.serve(admin::router(readiness, registry), stop.clone());
    tasks.spawn_finishing("admin", serving);

    tokio::select! {
        () = stop.cancelled() => {}
        ended = tasks.ended() => bail!("{ended} ended, and must not"),
    }
    // Nothing new comes in; what is under way is finished: answers, due statuses, Events.
    if !tasks.stop(LAST_WORK + Duration::from_secs(1)).await {
        warn!(within = ?LAST_WORK, "stopped with calls open");
    }
    Ok(())
}

/// What a process that runs in no pod is called: like no other.
fn nameless() -> String {
    let mut random = [0; 8];
    match SystemRandom::new().fill(&mut random) {
        Ok(()) => format!("ebb-controller-{}", hexadecimal(&random)),
        Err(_) => format!("ebb-controller-{}", std::process::id()),
    }
}

/// Feeds the views from the API server. What is returned is ready when all of them are complete.
fn follow_all(tasks: &mut Tasks, cluster: &Arc<SharedCluster>, client: &Client) -> Readiness {
    let caches = Readiness::default();
    let all = watcher::Config::default;
    let mut views = Views {
        tasks,
        cluster,
        client,
        caches: &caches,
    };
    views.follow::<DeserializeGuard<DrainPolicy>>("policies", all());
    views.follow::<PartialObjectMeta<Namespace>>("namespaces", all());
    views.follow::<LimitRange>("limit-ranges", all());
    views.follow::<NarrowSlice>("endpoints", endpoints::config());
    views.follow::<NarrowPod>("pods", all());
    caches
}

struct Views<'a> {
    tasks: &'a mut Tasks,
    cluster: &'a Arc<SharedCluster>,
    client: &'a Client,
    caches: &'a Readiness,
}

impl Views<'_> {
    fn follow<K: Watched>(&mut self, name: &'static str, config: watcher::Config)
    where
        K::DynamicType: Default + Send,
    {
        let (cluster, guard) = (Arc::clone(self.cluster), self.caches.guard(name));
        let api: Api<K> = Api::all(self.client.clone());
        self.tasks.spawn(name, async move {
            watch::follow(&cluster, api, config, guard).await;
        });
    }
}

/// Loads the keys, makes the first one, and follows their Secret.
async fn follow_keys(
    tasks: &mut Tasks,
    client: &Client,
    namespace: &str,
) -> anyhow::Result<latest::Receiver<Arc<Keyring>>> {
    let keyring = keyring::load(client, namespace).await?;
    let (sender, receiver) = latest::channel(Arc::new(keyring));
    let following = keyring::follow(client.clone(), namespace.to_owned(), sender);
    tasks.spawn("keyring", following);
    Ok(receiver)
}

/// Loads or makes the webhook's certificate, and renews it in time. The guard is dropped when the
/// API server trusts it.
async fn follow_certificate(
    tasks: &mut Tasks,
    client: &Client,
    namespace: &str,
    trusted: Guard,
) -> anyhow::Result<Served> {
    let webhook = Webhook {
        namespace: namespace.to_owned(),
        service: WEBHOOK_SERVICE.to_owned(),
        configuration: WEBHOOK_CONFIGURATION.to_owned(),
    };
    let (present, certified) = certificate::load(client, &webhook, None).await?;
    let (sender, served) = latest::channel(certified);
    let following = certificate::follow(client.clone(), webhook, present, sender, trusted);
    tasks.spawn("certificate", following);
    Ok(served)
}
