//! How connections get to the sidecar, in real pods.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use ebb_api::capture::Mode;
use ebb_cluster::client::Client;
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::rolls::service_target;
use ebb_cluster::web::HTTP_PORT;
use serde_json::json;

use crate::fixtures::{SOON, injected_pod, policy, protected, web};

/// Asks a pod in this mode who its client is: whom the app has seen, and who that is in truth.
async fn seen(namespace: &TestNamespace, mode: &str, in_force: Mode) -> Result<(String, String)> {
    policy(namespace, "web", json!({"capture": {"mode": mode}})).await?;
    let pod = injected_pod(namespace, &web(namespace, "web")).await?;
    assert_eq!(pods::report(&pod).await?.mode, in_force);
    protected(namespace, "web", "AllProtected").await?;
    ask_for_peer(pods::address(&pod, HTTP_PORT)?).await
}

/// Whom the app at this address has seen, and who that is in truth.
async fn ask_for_peer(address: SocketAddr) -> Result<(String, String)> {
    let mut client = Client::connect(address).await?;
    let own = client.local_addr()?.to_string();
    // The application ends the line with a dot, so that it is known to be whole.
    client.request("GET", "/peer").await?;
    let answer = client.read_until(".\n", SOON).await?.text;
    let (_, seen) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok((seen.trim_end_matches(".\n").to_owned(), own))
}

/// The sidecar is a user without privileges, and has what it needs from its program's file: it is
/// in the mode Transparent where nothing else is asked for, and the app sees its client.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn the_app_sees_its_clients() {
    in_parallel("transparent", async |namespace| {
        let (seen, own) = seen(namespace, "Auto", Mode::Transparent).await?;
        assert_eq!(seen, own);
        Ok(())
    });
}

/// A mode that a policy names is the one that its pods get.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_mode_that_is_named_is_honored() {
    in_parallel("redirect", async |namespace| {
        let (seen, own) = seen(namespace, "Redirect", Mode::Redirect).await?;
        assert_ne!(seen, own);
        Ok(())
    });
    in_parallel("observe", async |namespace| {
        let (seen, own) = seen(namespace, "Observe", Mode::Observe).await?;
        assert_eq!(seen, own);
        Ok(())
    });
}

/// Where the Pod Security level allows nothing more, a policy may ask for the names of the pods'
/// ports: clients of a Service that names its ports pass the sidecar, which takes no privilege.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_service_that_names_its_ports_finds_the_sidecar() {
    in_parallel("named-ports", async |namespace| {
        policy(namespace, "web", json!({"capture": {"mode": "NamedPorts"}})).await?;
        let web = web(namespace, "web");
        namespace.create_object(&web.service_by_names()).await?;
        namespace.create_object(&web.bare_pod()).await?;
        let pod = pods::ready(namespace, "web").await?;
        assert_eq!(pods::report(&pod).await?.mode, Mode::NamedPorts);
        protected(namespace, "web", "AllProtected").await?;
        let service = service_target(namespace, &web).await?.address();
        let (seen, own) = eventually("the Service to lead to the pod", SOON, async || {
            ask_for_peer(service).await
        })
        .await?;
        assert_ne!(seen, own, "the sidecar was not in the way");
        let report = pods::report(&pod).await?;
        ensure!(report.now.bypassing == 0, "{report:?}");
        Ok(())
    });
}
