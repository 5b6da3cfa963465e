//! Rolling restarts under load.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_load::kind::Mix;
use ebb_load::tally::Tally;
use ebb_load::target::Target;
use ebb_load::{Plan, Progress};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use tokio::net::TcpStream;

use super::inside::RunningLoad;
use super::namespace::TestNamespace;
use super::web::Web;
use crate::eventually;

/// How long a rollout of the sample application may take: many times what it does.
const ROLLOUT: Duration = Duration::from_secs(180);

/// Requests that are made before the first roll: enough that every client is under way.
const WARM_UP: u64 = 1_000;

/// Puts the application with this Service into the namespace, and waits until it is ready.
pub async fn deploy(namespace: &TestNamespace, web: &Web, service: &Service) -> Result<()> {
    namespace.create_object(service).await?;
    namespace.create_object(&web.deployment()).await?;
    wait_until_complete(namespace, web).await
}

/// Puts a load on the Deployment `web`, which runs, rolls it `rolls` times, each until the last old
/// pod is gone, and returns what came of the requests. Tells each roll's end.
pub async fn roll_under_load(
    namespace: &TestNamespace,
    web: &Web,
    mix: Mix,
    rolls: usize,
    mut tell: impl FnMut(usize, Progress),
) -> Result<Tally> {
    under_load_of(namespace, web, mix, async |load| {
        for roll in 1..=rolls {
            restart(namespace, web)
                .await
                .with_context(|| format!("roll {roll} of {rolls}"))?;
            tell(roll, load.progress());
        }
        Ok(())
    })
    .await
}

/// Puts the usual load on `web` while `work` goes on, and returns what came of the requests.
pub async fn under_load(
    namespace: &TestNamespace,
    web: &Web,
    work: impl AsyncFnOnce(&RunningLoad) -> Result<()>,
) -> Result<Tally> {
    under_load_of(namespace, web, Mix::USUAL, work).await
}

async fn under_load_of(
    namespace: &TestNamespace,
    web: &Web,
    mix: Mix,
    work: impl AsyncFnOnce(&RunningLoad) -> Result<()>,
) -> Result<Tally> {
    let target = service_target(namespace, web).await?;
    wait_until_reached(target).await?;
    let plan = Plan {
        mix,
        ..Plan::usual(target)
    };
    let load = RunningLoad::start(&namespace.cluster.bed, plan)?;
    let limit = Duration::from_secs(30);
    makes(&load, "the load to be under way", limit, WARM_UP).await?;
    let done = work(&load).await;
    let tally = load.finish().await?;
    done?;
    Ok(tally)
}

/// Waits until the load has made as many requests again as it takes to be under way.
pub async fn goes_on(load: &RunningLoad) -> Result<()> {
    let requests = load.progress().requests + WARM_UP;
    makes(load, "the load to go on", Duration::from_secs(20), requests).await
}

async fn makes(load: &RunningLoad, what: &str, limit: Duration, requests: u64) -> Result<()> {
    eventually(what, limit, async || {
        let progress = load.progress();
        ensure!(progress.requests >= requests, "{progress:?}");
        Ok(())
    })
    .await
}

/// Restarts the Deployment and waits until only its new pods are there, all ready.
pub async fn restart(namespace: &TestNamespace, web: &Web) -> Result<()> {
    let deployments = namespace.api::<Deployment>();
    let before = pod_names(namespace, web).await?;
    deployments.restart(&web.name).await?;
    eventually(
        &format!("the rollout of {}", web.name),
        ROLLOUT,
        async || {
            let now = pod_names(namespace, web).await?;
            let old = now.iter().filter(|name| before.contains(name)).count();
            ensure!(old == 0, "{old} old pods are still there");
            check_complete(&deployments.get(&web.name).await?, &now)
        },
    )
    .await
}

/// Waits until the Deployment has all its pods ready, and no others are left.
pub async fn wait_until_complete(namespace: &TestNamespace, web: &Web) -> Result<()> {
    let deployments = namespace.api::<Deployment>();
    eventually(&format!("{} to be ready", web.name), ROLLOUT, async || {
        let now = pod_names(namespace, web).await?;
        check_complete(&deployments.get(&web.name).await?, &now)
    })
    .await
}

/// The address of the Service of `web`, port 80.
pub async fn service_target(namespace: &TestNamespace, web: &Web) -> Result<Target> {
    let service = namespace.api::<Service>().get(&web.name).await?;
    let address = service
        .spec
        .and_then(|spec| spec.cluster_ip)
        .context("the Service has no address")?;
    Ok(format!("{address}:80").parse()?)
}

/// Waits until this machine's kube-proxy leads the Service to a pod. It follows the EndpointSlices
/// a second later or more, and refuses until then, which is no loss of anybody's: pods that were
/// never reached were not rolled.
async fn wait_until_reached(target: Target) -> Result<()> {
    let what = format!("kube-proxy to lead {target} to a pod");
    eventually(&what, Duration::from_secs(30), async || {
        TcpStream::connect(target.address()).await?;
        Ok(())
    })
    .await
}

fn check_complete(deployment: &Deployment, pods: &[String]) -> Result<()> {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    ensure!(
        status.observed_generation >= deployment.metadata.generation,
        "the Deployment's controller has not seen the change"
    );
    let updated = status.updated_replicas.unwrap_or(0);
    let ready = status.ready_replicas.unwrap_or(0);
    ensure!(
        updated == wanted && ready == wanted && i32::try_from(pods.len()).ok() == Some(wanted),
        "{} pods, {updated} new ones, {ready} ready, of {wanted}",
        pods.len()
    );
    Ok(())
}

async fn pod_names(namespace: &TestNamespace, web: &Web) -> Result<Vec<String>> {
    let selector = ListParams::default().labels(&format!("app={}", web.name));
    let pods = namespace.api::<Pod>().list_metadata(&selector).await?;
    Ok(pods
        .items
        .into_iter()
        .filter_map(|pod| pod.metadata.name)
        .collect())
}
