//! The controller is away, nodes are drained, Ebb is upgraded and taken away: pods drain all the
//! same.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_api::phase::Outcome;
use ebb_api::policy::DrainPolicy;
use ebb_bed::machine::NODES;
use ebb_cluster::eventually;
use ebb_cluster::installation::{self, NAMESPACE, SELECTOR};
use ebb_cluster::namespace::{TestNamespace, exclusive, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::rolls::{restart, under_load};
use ebb_cluster::setup::{NAME, Setup};
use ebb_cluster::web::Web;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::fixtures::{any_pod, policy, protected, web};
use crate::leaving::{Leaving, LeavingPod};

/// How long a node's drain may take: its pods' drains, and new pods elsewhere.
const NODE_DRAIN: &str = "--timeout=120s";

async fn controllers(namespace: &TestNamespace) -> Result<Vec<Pod>> {
    let selector = ListParams::default().labels(SELECTOR);
    Ok(namespace
        .cluster
        .api::<Pod>(NAMESPACE)
        .list(&selector)
        .await?
        .items)
}

/// Makes the number of controllers that, and returns what it was.
pub(crate) async fn scale_controller(namespace: &TestNamespace, replicas: i32) -> Result<i32> {
    let deployments = namespace.cluster.api::<Deployment>(NAMESPACE);
    let deployment = deployments.get("ebb-controller").await?;
    let before = deployment.spec.and_then(|it| it.replicas).unwrap_or(1);
    let replicas_argument = format!("--replicas={replicas}");
    let arguments = [
        "-n",
        NAMESPACE,
        "scale",
        "deployment",
        "-l",
        SELECTOR,
        &replicas_argument,
    ];
    namespace.cluster.kubectl(&arguments).await?;
    if replicas > 0 {
        installation::wait_until_ready(&namespace.cluster).await?;
        return Ok(before);
    }
    eventually(
        "the controllers to be gone",
        Duration::from_secs(60),
        async || {
            let left = controllers(namespace).await?.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        },
    )
    .await?;
    Ok(before)
}

/// With no controller at all a pod drains by the policy that it was born with: a request in flight
/// completes, one that is too long is cut at the timeout, and a rolling restart under load loses
/// nothing.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn pods_drain_without_a_controller() {
    exclusive("no-controller", async |namespace| {
        let rolled = Setup::Ebb.deploy(namespace).await?;
        let patient = json!({"timeoutSeconds": 60});
        let patient = Leaving::of(namespace, patient).app(web(namespace, "patient"));
        let patient = patient.ready().await?;
        let brief = json!({"timeoutSeconds": 4, "shutdownSeconds": 2});
        let brief = Leaving::of(namespace, brief).app(web(namespace, "brief"));
        let brief = brief.ready().await?;
        protected(namespace, NAME, "AllProtected").await?;
        let replicas = scale_controller(namespace, 0).await?;
        let result = drain_by_bootstrap(namespace, &rolled, patient, brief).await;
        scale_controller(namespace, replicas).await?;
        result?;
        // Back again, it names the pods that were made while nobody could give them a sidecar.
        protected(namespace, NAME, "NotInjected").await?;
        Ok(())
    });
}

async fn drain_by_bootstrap(
    namespace: &TestNamespace,
    rolled: &Web,
    mut patient: LeavingPod<'_>,
    mut brief: LeavingPod<'_>,
) -> Result<()> {
    patient.request("/slow?seconds=10").await?;
    brief.request("/slow?seconds=60").await?;
    patient.delete().await?;
    brief.delete().await?;
    patient.answer(Duration::from_secs(15)).await?;
    let cut = &mut brief.clients[0];
    let answer = cut.read_until("\0never", Duration::from_secs(10)).await?;
    assert!(answer.text.starts_with("HTTP/1.1 504 "), "{}", answer.text);
    for (leaving, outcome) in [
        (&mut patient, Outcome::Drained),
        (&mut brief, Outcome::TimedOut),
    ] {
        let drain = leaving.drain(Duration::from_secs(60)).await?;
        assert_eq!(drain.outcome, outcome, "{drain:?}");
    }
    let tally = under_load(namespace, rolled, async |_| {
        restart(namespace, rolled).await
    })
    .await?;
    eprintln!("without a controller: {:?}", tally.summary());
    assert_eq!(tally.failed, 0, "{:?}\n{:#?}", tally.reasons, tally.samples);
    Ok(())
}

/// Draining the node that the leader runs on, and then one that it does not run on, loses nothing;
/// and since a controller is left at any time, every new pod gets its sidecar.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn node_drains_lose_nothing() {
    exclusive("node-drains", async |namespace| {
        let web = Setup::Ebb.deploy(namespace).await?;
        let result = drain_both_nodes(namespace, &web).await;
        for node in NODES {
            namespace.cluster.kubectl(&["uncordon", node]).await?;
        }
        installation::wait_until_ready(&namespace.cluster).await?;
        result
    });
}

async fn drain_both_nodes(namespace: &TestNamespace, web: &Web) -> Result<()> {
    for of_the_leader in [true, false] {
        // All may be on one node.
        spread(namespace, web).await?;
        let leader = installation::leader(&namespace.cluster).await?.name;
        let controllers = controllers(namespace).await?;
        let leader = controllers
            .iter()
            .find(|pod| pod.metadata.name.as_ref() == Some(&leader));
        let leaders = leader.and_then(node_of).context("the leader has no pod")?;
        let node = NODES
            .iter()
            .find(|node| (**node == leaders) == of_the_leader);
        let node = *node.context("the leader runs on an unknown node")?;
        let tally = under_load(namespace, web, async |_| {
            let arguments = [
                "drain",
                node,
                "--ignore-daemonsets",
                "--delete-emptydir-data",
                "--force",
                NODE_DRAIN,
            ];
            namespace.cluster.kubectl(&arguments).await.map(drop)
        })
        .await?;
        eprintln!(
            "drain of {node}, leader there: {of_the_leader}: {:?}",
            tally.summary()
        );
        assert_eq!(
            tally.failed, 0,
            "drain of {node}, leader there: {of_the_leader}: {:?}\n{:#?}",
            tally.reasons, tally.samples
        );
        protected(namespace, NAME, "AllProtected").await?;
        namespace.cluster.kubectl(&["uncordon", node]).await?;
        installation::wait_until_ready(&namespace.cluster).await?;
    }
    Ok(())
}

/// Restarts the Deployment until it has protected pods on both nodes.
async fn spread(namespace: &TestNamespace, web: &Web) -> Result<()> {
    for _ in 0..5 {
        restart(namespace, web).await?;
        protected(namespace, NAME, "AllProtected").await?;
        let selector = ListParams::default().labels(&format!("app={NAME}"));
        let pods = namespace.api::<Pod>().list(&selector).await?;
        let on_first = pods
            .items
            .iter()
            .filter(|pod| node_of(pod).as_deref() == Some(NODES[0]))
            .count();
        if on_first > 0 && on_first < pods.items.len() {
            return Ok(());
        }
    }
    anyhow::bail!("the scheduler put all pods on one node five times")
}

fn node_of(pod: &Pod) -> Option<String> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone())
}

/// Secrets that somebody deletes are made again as they were, by the controllers that know them:
/// pods are spoken to with their own key, and the API server trusts the certificate that it knows.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn deleted_secrets_are_made_again_as_they_were() {
    in_parallel("secrets", async |namespace| {
        let secrets = namespace.cluster.api::<Secret>(NAMESPACE);
        for name in ["ebb-keyring", "ebb-webhook-certificate"] {
            let before = secrets.get(name).await?;
            secrets.delete(name, &DeleteParams::default()).await?;
            let what = format!("the Secret {name} to be made again");
            eventually(&what, Duration::from_secs(60), async || {
                let again = secrets.get(name).await?;
                ensure!(
                    again.metadata.uid != before.metadata.uid,
                    "it is still there"
                );
                assert!(again.data == before.data, "{name} has other contents");
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}

/// An upgrade of Ebb, and its removal, leave running pods serving and draining; after the removal
/// new pods are made as if there had never been an Ebb, and the policies are still there for the
/// next installation.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn ebb_can_be_upgraded_and_taken_away() {
    exclusive("helm", async |namespace| {
        let web = Setup::Ebb.deploy(namespace).await?;
        let result = upgrade_and_remove(namespace, &web).await;
        installation::install(&namespace.cluster).await?;
        result?;
        namespace.policy_in_force(NAME).await?;
        protected(namespace, NAME, "AllProtected").await?;
        Ok(())
    });
}

async fn upgrade_and_remove(namespace: &TestNamespace, served: &Web) -> Result<()> {
    let cluster = &namespace.cluster;
    let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 30}));
    let leaving = leaving.app(web(namespace, "leaving"));
    let mut leaving = leaving.ready().await?;
    policy(namespace, "newcomer", json!({})).await?;
    let tally = under_load(namespace, served, async |_| {
        let before = controllers(namespace).await?;
        installation::upgrade(
            cluster,
            &["--reuse-values", "--set", "controller.log=debug"],
        )
        .await?;
        installation::wait_until_ready(cluster).await?;
        let after = controllers(namespace).await?;
        // The old one may still be on its way out.
        ensure!(
            after.iter().any(|new| before
                .iter()
                .all(|old| old.metadata.uid != new.metadata.uid)),
            "the upgrade replaced nothing"
        );
        installation::uninstall(cluster).await?;
        eventually(
            "the controller to be gone",
            Duration::from_secs(60),
            async || {
                ensure!(
                    controllers(namespace).await?.is_empty(),
                    "it is still there"
                );
                Ok(())
            },
        )
        .await
    })
    .await?;
    assert_eq!(tally.failed, 0, "{:?}\n{:#?}", tally.reasons, tally.samples);

    leaving.request("/slow?seconds=6").await?;
    leaving.delete().await?;
    leaving.answer(Duration::from_secs(15)).await?;
    let drain = leaving.drain(Duration::from_secs(60)).await?;
    assert_eq!(drain.outcome, Outcome::Drained);

    let policies = namespace.api::<DrainPolicy>();
    policies
        .get("newcomer")
        .await
        .context("the policy went with the chart")?;
    let newcomer = any_pod(namespace, &web(namespace, "newcomer")).await?;
    assert!(!pods::is_injected(&newcomer));
    Ok(())
}
