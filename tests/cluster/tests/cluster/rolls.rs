//! Rolling restarts under load: what all of this is for.

use anyhow::Result;
use ebb_cluster::namespace::{TestNamespace, exclusive};
use ebb_cluster::rolls::roll_under_load;
use ebb_cluster::setup::Setup;
use ebb_load::kind::Kind;
use ebb_load::tally::Tally;

use crate::fixtures::{protected, status};

/// How often the Deployment is rolled, its three pods each time.
const ROLLS: usize = 3;

async fn rolled(namespace: &TestNamespace, setup: Setup) -> Result<Tally> {
    let web = setup.deploy(namespace).await?;
    let tally = roll_under_load(namespace, &web, ROLLS, |_, _| {}).await?;
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
