//! Pods that can't be two at once: while one leaves, there is no other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ebb_api::phase::Outcome;
use ebb_cluster::client::{Client, End, ask};
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, exclusive};
use ebb_cluster::pods;
use ebb_cluster::rolls::{restart, service_target, wait_until_complete};
use ebb_cluster::web::{HTTP_PORT, Web};
use k8s_openapi::api::apps::v1::DeploymentStrategy;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::fixtures::{SOON, policy, protected, request_of, status, web};

/// How long the request in flight takes: beyond the greatest length of a lame-duck phase.
const OLD_SECONDS: u64 = 45;

/// The pods' own grace: what an app without Ebb uses up for that request, refusing all others.
const OWN_GRACE_SECONDS: u64 = 10;

/// How often a fresh request is made.
const PERIOD: Duration = Duration::from_millis(100);

/// How long one may take; the work for it takes 50 ms.
const ANSWER: Duration = Duration::from_secs(1);

/// A Deployment of one replica that is made anew (`Recreate`), with a long request in flight: with
/// Ebb nobody waits longer for a fresh answer than without, although the long one is answered. It
/// says that it goes on accepting, and for which Service.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn who_is_alone_refuses_no_longer_than_without_ebb() {
    exclusive("alone", async |namespace| {
        policy(namespace, "with", json!({"timeoutSeconds": 120})).await?;
        let (with, without) = (lonely(namespace, "with"), lonely(namespace, "without"));
        let with_address = deployed(namespace, &with).await?;
        let without_address = deployed(namespace, &without).await?;
        protected(namespace, "with", "AllProtected").await?;
        let pod = only_pod(namespace, &without).await?;
        ensure!(
            !pods::is_injected(&pod),
            "the pod without a policy was injected"
        );
        let (mut old, name) = old_request(namespace, &with).await?;
        let _lost = old_request(namespace, &without).await?;

        let made_anew = async {
            let told = status(namespace, "with", "that it goes on accepting", |status| {
                let mut active = status.active.iter();
                active.any(|it| {
                    let words = "goes on accepting, since no other endpoint of Service with is";
                    it.progress.contains(words)
                })
            });
            let (rolled, told) = tokio::join!(restart(namespace, &with), told);
            told?;
            rolled
        };
        let (with_ebb, plain) = tokio::join!(
            longest_wait(with_address, made_anew),
            longest_wait(without_address, restart(namespace, &without)),
        );
        let (with_ebb, plain) = (with_ebb?, plain?);
        eprintln!("nobody was answered for {with_ebb:?} with Ebb, {plain:?} without");
        assert!(
            with_ebb <= plain,
            "nobody was answered for {with_ebb:?} with Ebb, {plain:?} without"
        );

        // It was answered long ago, and has been waiting for its reader.
        let mark = format!("slow hello from {name}\n");
        let answer = old.read_until(&mark, SOON).await?;
        assert!(answer.text.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
        assert_eq!(answer.end, End::Mark, "{answer:?}");
        let told = status(namespace, "with", "one drained", |status| {
            status.totals.drained == 1
        })
        .await?;
        assert_eq!(told.recent[0].result, Outcome::Drained);
        Ok(())
    });
}

/// An application of which there is one pod.
fn lonely(namespace: &TestNamespace, name: &str) -> Web {
    web(namespace, name).pod(json!({"terminationGracePeriodSeconds": OWN_GRACE_SECONDS}))
}

/// Puts it into the namespace, and returns its Service's address when somebody is answered there.
async fn deployed(namespace: &TestNamespace, web: &Web) -> Result<SocketAddr> {
    namespace.create_object(&web.service()).await?;
    let mut deployment = web.deployment();
    let spec = deployment.spec.as_mut().context("it has a spec")?;
    spec.strategy = Some(DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        ..DeploymentStrategy::default()
    });
    namespace.create_object(&deployment).await?;
    wait_until_complete(namespace, web).await?;
    let address = service_target(namespace, web).await?.address();
    answered(address).await?;
    Ok(address)
}

async fn only_pod(namespace: &TestNamespace, web: &Web) -> Result<Pod> {
    let selector = ListParams::default().labels(&format!("app={}", web.name));
    let pods = namespace.api::<Pod>().list(&selector).await?;
    let [pod] = &pods.items[..] else {
        anyhow::bail!("{} has {} pods", web.name, pods.items.len());
    };
    Ok(pod.clone())
}

/// A long request that is in flight, and the name of its pod: the application has the connection,
/// and answered another one that was made later.
async fn old_request(namespace: &TestNamespace, web: &Web) -> Result<(Client, String)> {
    let pod = only_pod(namespace, web).await?;
    let name = pod.metadata.name.clone().unwrap_or_default();
    let old = request_of(&pod, &format!("/slow?seconds={OLD_SECONDS}")).await?;
    answered(pods::address(&pod, HTTP_PORT)?).await?;
    Ok((old, name))
}

async fn answered(address: SocketAddr) -> Result<()> {
    let what = format!("an answer from {address}");
    eventually(&what, SOON, async || fresh(address).await).await
}

/// One request on a connection of its own.
async fn fresh(address: SocketAddr) -> Result<()> {
    let answer = timeout(ANSWER, ask(address, "POST", "/", ANSWER)).await??;
    ensure!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    Ok(())
}

/// The longest time between two answers to fresh requests while `work` goes on.
async fn longest_wait(
    address: SocketAddr,
    work: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let mut work = std::pin::pin!(work);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    loop {
        tokio::select! {
            done = &mut work => {
                done?;
                answered(address).await?;
                return Ok(longest.max(last.elapsed()));
            }
            _ = ticks.tick() => {
                if fresh(address).await.is_ok() {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
            }
        }
    }
}
