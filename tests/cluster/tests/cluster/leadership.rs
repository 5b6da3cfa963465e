//! One of the controllers leads; another takes over when it is gone, and no two write.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ebb_api::phase::Outcome;
use ebb_api::report::Drain;
use ebb_cluster::eventually;
use ebb_cluster::installation::{self, LEASE, Leader, NAMESPACE};
use ebb_cluster::namespace::{TestNamespace, exclusive};
use ebb_cluster::pods;
use serde_json::json;

use crate::fixtures::{change, status, web};
use crate::leaving::{Leaving, LeavingPod};
use crate::outages::scale_controller;
use crate::processes::{Stopped, with_variables};

/// A leader that has vanished is replaced 15 s after its last renewal was seen.
const TAKEOVER: Duration = Duration::from_secs(30);

/// One that ends in order gives the Lease back, and the next one looks every 2 s.
const HANDOVER: Duration = Duration::from_secs(10);

/// How long a drain may take, with all that begins later.
const DRAIN: Duration = Duration::from_secs(60);

/// Waits for a leader of whom that can be said.
async fn leader(
    namespace: &TestNamespace,
    what: &str,
    wanted: impl Fn(&Leader) -> bool,
) -> Result<Leader> {
    eventually(&format!("a leader: {what}"), TAKEOVER, async || {
        let leader = installation::leader(&namespace.cluster).await?;
        ensure!(wanted(&leader), "it is {leader:?}");
        Ok(leader)
    })
    .await
}

/// Waits until the policy's totals say that one drain has ended, and not more.
async fn counted_once(namespace: &TestNamespace) -> Result<()> {
    let said = status(namespace, "web", "one drain", |status| {
        status.totals.drained > 0
    })
    .await?;
    assert_eq!(said.totals.drained, 1, "{said:#?}");
    Ok(())
}

/// How many Events tell that the pod `web` was drained.
async fn told(namespace: &TestNamespace) -> Result<usize> {
    let columns = "custom-columns=A:.regarding.name,B:.reason";
    let events = ["get", "events.events.k8s.io", "--no-headers", "-o", columns];
    let events = namespace.kubectl(&events).await?;
    let of_it = events.lines().filter(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("web") && words.next() == Some("Drained")
    });
    Ok(of_it.count())
}

/// Waits until the pod's sidecar has a state of such a term.
async fn obeys(pod: &LeavingPod<'_>, whom: &str, wanted: impl Fn(u64) -> bool) -> Result<()> {
    eventually(
        &format!("the sidecar to obey {whom}"),
        TAKEOVER,
        async || {
            let report = pods::report(&pod.pod).await?;
            ensure!(wanted(report.revision.term), "it has {:?}", report.revision);
            Ok(())
        },
    )
    .await
}

/// A leader that stands still is replaced; what it finds when it goes on is not its own any more. A
/// drain meanwhile is counted once, and told once.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_frozen_leader_is_replaced_and_says_nothing_more() {
    exclusive("frozen-leader", async |namespace| {
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 60}));
        let mut leaving = leaving.request("/slow?seconds=25").ready().await?;
        let first = leader(namespace, "any", |_| true).await?;
        let pid = with_variables(&[("EBB_POD_NAME", &first.name)])?;
        let frozen = Stopped::process(pid.context("the leader has no process")?)?;
        leaving.delete().await?;
        let second = leader(namespace, "another", |it| it.name != first.name).await?;
        assert!(second.term > first.term, "{first:?}, {second:?}");
        // Before kubelet restarts it for its silence.
        drop(frozen);
        leaving.answer(Duration::from_secs(30)).await?;
        let drain = leaving.drain(DRAIN).await?;
        assert_eq!(drain.outcome, Outcome::Drained, "{drain:?}");
        counted_once(namespace).await?;
        installation::wait_until_ready(&namespace.cluster).await?;
        // It is heard again: by the one that leads.
        change(namespace, "web", json!({"timeoutSeconds": 61})).await?;
        counted_once(namespace).await?;
        assert_eq!(told(namespace).await?, 1);
        let still = installation::leader(&namespace.cluster).await?;
        assert_eq!(still, second, "it took the Lease back");
        Ok(())
    });
}

/// A leader that ends in the middle of a drain gives the Lease back: the next one takes it at once,
/// follows the drain to its end, and counts it once.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_drain_is_taken_over_in_its_middle() {
    exclusive("takeover", async |namespace| {
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 60}));
        let mut leaving = leaving.request("/slow?seconds=20").ready().await?;
        let first = leader(namespace, "any", |_| true).await?;
        leaving.delete().await?;
        let under_way = |status: &ebb_api::status::DrainPolicyStatus| !status.active.is_empty();
        status(namespace, "web", "a drain under way", under_way).await?;
        let controller = [
            "delete",
            "pod",
            "-n",
            NAMESPACE,
            "--wait=false",
            &first.name,
        ];
        namespace.cluster.kubectl(&controller).await?;
        let gone = Instant::now();
        let second = leader(namespace, "another", |it| it.name != first.name).await?;
        assert_eq!(second.term, first.term + 1, "{first:?}, {second:?}");
        assert!(gone.elapsed() < HANDOVER, "after {:?}", gone.elapsed());
        // It speaks to the sidecar that drains, by its own term.
        obeys(&leaving, "the next leader", |term| term == second.term).await?;
        leaving.answer(Duration::from_secs(30)).await?;
        let Drain { outcome, .. } = leaving.drain(DRAIN).await?;
        assert_eq!(outcome, Outcome::Drained);
        counted_once(namespace).await?;
        assert_eq!(told(namespace).await?, 1);
        installation::wait_until_ready(&namespace.cluster).await
    });
}

/// A Lease that was deleted is made again, and one that begins at the first term is raised above
/// the term that sidecars have: they show what they were told, and obey the leader again.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_lease_that_has_forgotten_its_terms_is_raised_above_them() {
    exclusive("lost-lease", async |namespace| {
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 60}));
        let leaving = leaving.app(web(namespace, "web")).ready().await?;
        let delete_lease = ["delete", "lease", "-n", NAMESPACE, LEASE];
        let cluster = &namespace.cluster;
        let first = leader(namespace, "any", |_| true).await?;
        cluster.kubectl(&delete_lease).await?;
        let second = leader(namespace, "of a later term", |it| it.term > first.term).await?;
        // It has to have spoken: nobody could know of the term of a leader that never did.
        obeys(&leaving, "the second leader", |term| term == second.term).await?;
        // With nobody there who remembers.
        let replicas = scale_controller(namespace, 0).await?;
        cluster.kubectl(&delete_lease).await?;
        let empty = ["create", "-n", NAMESPACE, "-f"];
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": NAMESPACE},
        });
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), lease.to_string())?;
        let path = file.path().to_str().context("a path that is not UTF-8")?;
        let created = cluster.kubectl(&[&empty[..], &[path]].concat()).await;
        scale_controller(namespace, replicas).await?;
        created?;
        change(namespace, "web", json!({"timeoutSeconds": 33})).await?;
        obeys(&leaving, "a later leader", |term| term > second.term).await
    });
}
