//! Rolling restarts under load: what all of this is for.

use anyhow::Result;
use ebb_api::capture::Mode;
use ebb_cluster::namespace::{TestNamespace, exclusive};
use ebb_cluster::rolls::roll_under_load;
use ebb_cluster::setup::{NAME, Setup};
use ebb_load::kind::{Kind, Mix};
use ebb_load::tally::Tally;

use crate::fixtures::{protected, status};

/// How often the Deployment is rolled, its three pods each time.
const ROLLS: usize = 3;

async fn rolled(namespace: &TestNamespace, setup: Setup) -> Result<Tally> {
    let web = setup.deploy(namespace).await?;
    let tally = roll_under_load(namespace, &web, Mix::USUAL, ROLLS, |_, _| {}).await?;
    eprintln!("{setup:?}: {:?}", tally.summary());
    Ok(tally)
}

/// The load loses requests when nothing is done about it. If it did not, the next test would prove
/// nothing.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn rolls_without_ebb_lose_requests() {
    exclusive("rolls-plain", async |namespace| {
        let tally = rolled(namespace, Setup::Plain).await?;
        // What an application does with these is sure to lose some. Of HTTP/2 and gRPC it says a
        // goodbye itself, and loses those only that come too late.
        for kind in [Kind::Fresh, Kind::WebSocket] {
            let counts = tally.kinds[&kind];
            assert!(
                counts.failed > 0,
                "{kind:?}: nothing was lost of {}",
                counts.requests
            );
        }
        Ok(())
    });
}

/// Rolling restarts with a DrainPolicy lose nothing: neither POSTs on keep-alive connections, which
/// nobody retries, nor requests on fresh connections, on HTTP/2 or by gRPC; no stream of gRPC
/// breaks off, and no WebSocket ends without a Close or before an echo that was due.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn rolls_with_ebb_lose_nothing() {
    exclusive("rolls-ebb", async |namespace| {
        let tally = rolled(namespace, Setup::Ebb).await?;
        assert_eq!(tally.failed, 0, "{:?}\n{:#?}", tally.reasons, tally.samples);
        for kind in Kind::ALL {
            assert!(tally.kinds.contains_key(&kind), "{kind:?} took no part");
        }
        let drained = 3 * ROLLS as u64;
        let told = status(namespace, "web", "all drained", |status| {
            status.totals.drained == drained
        })
        .await?;
        assert_eq!(
            (told.totals.timed_out, told.totals.killed),
            (0, 0),
            "{:?}",
            told.totals
        );
        protected(namespace, "web", "AllProtected").await?;
        Ok(())
    });
}

/// One roll of an application whose policy names this mode: nothing is lost, nothing cut.
async fn rolled_in(namespace: &TestNamespace, mode: Mode, mix: Mix) -> Result<()> {
    let web = Setup::Ebb.deploy_with(namespace, Some(mode)).await?;
    let tally = roll_under_load(namespace, &web, mix, 1, |_, _| {}).await?;
    eprintln!("{mode}: {:?}", tally.summary());
    assert_eq!(tally.failed, 0, "{:?}\n{:#?}", tally.reasons, tally.samples);
    status(namespace, NAME, "all drained", |status| {
        status.totals.drained == u64::from(web.replicas)
    })
    .await?;
    protected(namespace, NAME, "AllProtected").await.map(drop)
}

/// The modes that a policy may name where the best one is not to be had lose nothing either.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn rolls_in_lesser_modes_lose_nothing() {
    exclusive("rolls-redirect", async |namespace| {
        rolled_in(namespace, Mode::Redirect, Mix::USUAL).await
    });
    exclusive("rolls-named", async |namespace| {
        rolled_in(namespace, Mode::NamedPorts, Mix::USUAL).await
    });
}

/// A sidecar that only observes says no goodbyes, but holds the pod: clients that connect anew for
/// each request lose nothing.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn rolls_under_observation_lose_no_fresh_request() {
    exclusive("rolls-observe", async |namespace| {
        let fresh = Mix {
            fresh: Mix::USUAL.fresh,
            ..Mix::default()
        };
        rolled_in(namespace, Mode::Observe, fresh).await
    });
}
