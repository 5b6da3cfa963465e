//! A sidecar that stands still for a moment: a node that stalls, a core that is wanted elsewhere.

use std::time::Duration;

use anyhow::Context as _;
use ebb_cluster::namespace::exclusive;
use ebb_cluster::rolls::{goes_on, under_load};
use ebb_cluster::setup::{NAME, Setup};

use crate::fixtures::{in_service, protected};
use crate::processes::{Stopped, pods, sidecar};

/// All sidecars of an application stand still for 2 s under load: its pods stay in their Service,
/// no request is lost, and all goes on.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_pause_of_the_sidecars_changes_no_endpoint_and_loses_nothing() {
    exclusive("pause", async |namespace| {
        let web = Setup::Ebb.deploy(namespace).await?;
        protected(namespace, NAME, "AllProtected").await?;
        let uids: Vec<String> = pods(namespace)
            .await?
            .into_iter()
            .filter_map(|pod| pod.metadata.uid)
            .collect();
        let before = in_service(namespace, NAME).await?;
        let tally = under_load(namespace, &web, async |load| {
            let mut stopped = Vec::new();
            for uid in &uids {
                let pid = sidecar(uid)?.with_context(|| format!("the pod {uid} has no sidecar"))?;
                stopped.push(Stopped::process(pid)?);
            }
            // Not a wait: this is the pause itself.
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(stopped);
            goes_on(load).await
        })
        .await?;
        assert_eq!(tally.failed, 0, "{:?}\n{:#?}", tally.reasons, tally.samples);
        assert_eq!(in_service(namespace, NAME).await?, before);
        Ok(())
    });
}
