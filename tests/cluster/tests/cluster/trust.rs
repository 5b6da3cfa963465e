//! Servers that go by their clients' addresses: whom they trust, and whom they name to others.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use ebb_api::capture::Mode;
use ebb_clients::trust::redis::{self, SENTINEL_PORT};
use ebb_clients::trust::server::Server;
use ebb_cluster::client::Client;
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::web::Web;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::debian;
use crate::fixtures::{SOON, delete, policy};
use crate::processes::inside;

/// The best mode, whatever is asked of others: in Redirect these servers are fooled.
async fn transparent(namespace: &TestNamespace, name: &str) -> Result<()> {
    let fields = json!({"timeoutSeconds": 5, "capture": {"mode": "Auto"}});
    policy(namespace, name, fields).await
}

/// A pod that is ready, behind its sidecar or without one.
async fn pod(namespace: &TestNamespace, server: &Web, mode: Option<Mode>) -> Result<Pod> {
    namespace.create_object(&server.bare_pod()).await?;
    let pod = pods::ready(namespace, &server.name).await?;
    assert_eq!(pods::is_injected(&pod), mode.is_some(), "{}", server.name);
    if let Some(mode) = mode {
        assert_eq!(pods::report(&pod).await?.mode, mode, "{}", server.name);
    }
    Ok(pod)
}

/// What the server in `pod` answers to a client in its own pod, and to one in another.
async fn answers(server: Server, pod: &Pod, other: &Pod) -> Result<(String, String)> {
    let address = pods::address(pod, server.port())?;
    let ask = async |from| inside(from, async move || server.ask(address)).await;
    Ok((ask(pod).await?, ask(other).await?))
}

async fn compare(namespace: &TestNamespace, server: Server) -> Result<()> {
    let name = server.to_string().to_lowercase();
    transparent(namespace, &name).await?;
    let with = debian::server(namespace, &name, &server.script(), server.port());
    let mut without = with.clone();
    without.name = format!("{name}-plain");
    let with = pod(namespace, &with, Some(Mode::Transparent)).await?;
    let without = pod(namespace, &without, None).await?;
    let right = answers(server, &without, &with).await?;
    assert_ne!(right.0, right.1, "{server} trusts nobody more than others");
    assert_eq!(answers(server, &with, &without).await?, right, "{server}");
    eprintln!("{server}: its own pod hears {right:?}");
    Ok(())
}

/// httpd with `Require local`, Postfix with its own networks and PostgreSQL with `samehost` refuse
/// another pod behind the sidecar as they refuse it without, and trust their own.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn servers_that_go_by_addresses_trust_nobody_new() {
    debian::fetch();
    in_parallel("trust", async |namespace| {
        let each = Server::ALL.map(|server| compare(namespace, server));
        try_join_all(each).await.map(drop)
    });
}

/// A master of Redis names its replica by the address from which that comes. Its Sentinel finds the
/// replica there, and makes it the master when the master's pod is deleted.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn redis_fails_over() {
    debian::fetch();
    in_parallel("redis", async |namespace| {
        let server = async |name, script: &str, port| {
            transparent(namespace, name).await?;
            let server = debian::server(namespace, name, script, port);
            let pod = pod(namespace, &server, Some(Mode::Transparent)).await?;
            anyhow::Ok(pods::address(&pod, port)?)
        };
        let master = server("master", &redis::server(None), redis::PORT).await?;
        let script = redis::server(Some(master.ip()));
        let replica = server("replica", &script, redis::PORT).await?;
        let script = redis::sentinel(master.ip());
        let sentinel = server("sentinel", &script, SENTINEL_PORT).await?;

        names(sentinel, "sentinel replicas app", replica.ip(), SOON).await?;
        delete(namespace, "master").await?;
        let question = "sentinel get-master-addr-by-name app";
        // The drain takes its 5 s, and the rest are Sentinel's timers.
        names(sentinel, question, replica.ip(), Duration::from_secs(90)).await
    });
}

/// Waits until the Sentinel names this address in its answer.
async fn names(
    sentinel: SocketAddr,
    question: &str,
    wanted: IpAddr,
    limit: Duration,
) -> Result<()> {
    let what = format!("Sentinel to name {wanted} to {question:?}");
    eventually(&what, limit, async || {
        let mut client = Client::connect(sentinel).await?;
        client.send(&format!("{question}\r\nping\r\n")).await?;
        let answer = client.read_until("+PONG\r\n", SOON).await?.text;
        let named = answer.lines().any(|line| line == wanted.to_string());
        ensure!(named, "it answers {answer:?}");
        Ok(())
    })
    .await
}
