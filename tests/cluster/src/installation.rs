//! Ebb on the bed's cluster, by its chart: what a user does with helm.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_paths::workspace;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use tokio::sync::OnceCell;

use super::cluster::Cluster;
use crate::eventually;

/// The namespace that Ebb is installed in.
pub const NAMESPACE: &str = "ebb-system";

/// The name of its release.
const RELEASE: &str = "ebb";

/// The labels of the controller's pods and of its Deployment.
pub const SELECTOR: &str = "app.kubernetes.io/name=ebb";

/// The name of the Lease that the leader holds.
pub const LEASE: &str = "ebb-controller";

/// Which of the controllers leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The name of its pod.
    pub name: String,
    /// Its term.
    pub term: u64,
}

/// How long the controller may take to be ready.
const READY: Duration = Duration::from_secs(60);

/// What this process has found out about the installation.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Installs Ebb from this checkout once in this process. Helm leaves an installation of the same
/// images and the same chart as it is, so a second program finds it ready.
pub async fn ensure_installed(cluster: &Cluster) -> Result<()> {
    let install = async || {
        let (bed, images) = (cluster.bed.clone(), cluster.images.clone());
        tokio::task::spawn_blocking(move || bed.load_images(&images)).await??;
        install(cluster).await
    };
    INSTALLED.get_or_try_init(install).await.copied()
}

/// Installs or upgrades Ebb, and waits until its controller is ready.
pub async fn install(cluster: &Cluster) -> Result<()> {
    let images = &cluster.images;
    let controller = image_value("controller", &images.controller)?;
    let sidecar = image_value("sidecar", &images.sidecar)?;
    let arguments = [
        "--install",
        "--create-namespace",
        "--set",
        &controller,
        "--set",
        &sidecar,
    ];
    let mut installed = upgrade(cluster, &arguments).await;
    // A helm that was killed leaves its release locked for ever.
    let locked = |error: &anyhow::Error| format!("{error:#}").contains("another operation");
    if installed.as_ref().is_err_and(locked) {
        uninstall(cluster).await?;
        installed = upgrade(cluster, &arguments).await;
    }
    installed.context("can't install Ebb")?;
    wait_until_ready(cluster).await
}

/// `helm upgrade` of the release to this checkout's chart, with further arguments.
pub async fn upgrade(cluster: &Cluster, arguments: &[&str]) -> Result<()> {
    let chart = workspace::folder().join("charts/ebb");
    let chart = chart.to_str().context("the checkout's path is not UTF-8")?;
    let usual = ["upgrade", RELEASE, chart, "--namespace", NAMESPACE];
    let wait = ["--wait", "--timeout", "90s"];
    let all = [&usual[..], &wait, arguments].concat();
    cluster.helm(&all).await.map(drop)
}

/// `helm uninstall` of the release.
pub async fn uninstall(cluster: &Cluster) -> Result<()> {
    let arguments = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait"];
    cluster.helm(&arguments).await.map(drop)
}

/// Waits until the controller's Deployment has all its pods ready, new ones only.
pub async fn wait_until_ready(cluster: &Cluster) -> Result<()> {
    let deployments = cluster.api::<Deployment>(NAMESPACE);
    eventually("Ebb's controller to be ready", READY, async || {
        let list = deployments
            .list(&ListParams::default().labels(SELECTOR))
            .await?;
        let deployment = list.items.first().context("it is not installed")?;
        let wanted = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or(0);
        let updated = status.updated_replicas.unwrap_or(0);
        ensure!(
            wanted > 0
                && ready == wanted
                && updated == wanted
                && status.replicas == Some(wanted)
                && status.observed_generation >= deployment.metadata.generation,
            "{ready} of {wanted} pods are ready, {updated} are new"
        );
        Ok(())
    })
    .await
}

/// Who leads now, by the Lease.
pub async fn leader(cluster: &Cluster) -> Result<Leader> {
    let lease = cluster.api::<Lease>(NAMESPACE).get(LEASE).await?;
    let spec = lease.spec.unwrap_or_default();
    Ok(Leader {
        name: spec.holder_identity.context("nobody leads")?,
        term: u64::try_from(spec.lease_transitions.unwrap_or(0))?,
    })
}

/// The value that names an image, as the chart wants it.
fn image_value(part: &str, image: &str) -> Result<String> {
    let (repository, tag) = image
        .rsplit_once(':')
        .with_context(|| format!("the image {image} has no tag"))?;
    Ok(format!(
        "{part}.image.repository={repository},{part}.image.tag={tag}"
    ))
}
