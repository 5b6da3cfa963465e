//! A sidecar that is killed: out of memory, or by a person.

use anyhow::{Context as _, ensure};
use ebb_cluster::eventually;
use ebb_cluster::namespace::exclusive;
use ebb_cluster::rolls::{deploy, goes_on, under_load};
use ebb_cluster::setup::NAME;
use ebb_sample_app::log::now_ms;
use rustix::process::{Signal, kill_process, test_kill_process};
use serde_json::json;

use crate::fixtures::{SOON, policy, protected, web};
use crate::processes::{pods, sidecar};

/// The sidecar of one of an application's pods is killed under load: what is lost had begun before
/// it was gone, and nothing that began later. Then kubelet has started it again, and it serves.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_killed_sidecar_costs_what_is_open_and_nothing_else() {
    exclusive("crash", async |namespace| {
        // The best mode, whatever is asked of others: in Redirect new connections are refused until
        // the sidecar is back.
        policy(namespace, NAME, json!({"capture": {"mode": "Auto"}})).await?;
        let web = web(namespace, NAME).replicas(3);
        deploy(namespace, &web, &web.service()).await?;
        protected(namespace, NAME, "AllProtected").await?;
        let pods = pods(namespace).await?;
        let uid = pods.into_iter().find_map(|pod| pod.metadata.uid);
        let uid = uid.context("there is no pod")?;
        let mut gone = 0;
        let tally = under_load(namespace, &web, async |load| {
            let pid = sidecar(&uid)?.context("the pod has no sidecar")?;
            kill_process(pid, Signal::KILL)?;
            eventually("the process to be gone", SOON, async || {
                ensure!(test_kill_process(pid).is_err(), "it is still there");
                Ok(())
            })
            .await?;
            gone = now_ms();
            eventually("kubelet to start it again", SOON, async || {
                sidecar(&uid)?.context("the pod has no sidecar").map(drop)
            })
            .await?;
            goes_on(load).await
        })
        .await?;
        assert!(
            tally.failed <= tally.samples.len() as u64,
            "{:?}",
            tally.reasons
        );
        let begun_later = tally.samples.iter().filter(|it| it.at - it.after_ms > gone);
        let begun_later: Vec<_> = begun_later.collect();
        assert!(begun_later.is_empty(), "gone at {gone}: {begun_later:#?}");
        protected(namespace, NAME, "AllProtected").await?;
        Ok(())
    });
}
