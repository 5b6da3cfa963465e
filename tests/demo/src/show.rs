//! What a user sees: the table, a drain as `kubectl describe` shows it, and what to try next.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_api::policy::DrainPolicy;
use ebb_cluster::client::Client;
use ebb_cluster::cluster::Cluster;
use ebb_cluster::eventually;
use ebb_cluster::namespace::TestNamespace;
use ebb_cluster::pods;
use ebb_cluster::setup::{NAME, Setup};
use ebb_cluster::web::HTTP_PORT;
use ebb_load::kind::Mix;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};

use super::table::{Row, render};

/// How long the request takes that is in flight when its pod is deleted, in seconds.
const REQUEST_SECONDS: u64 = 10;

/// How long the status may take to show what happens.
const SHOWN: Duration = Duration::from_secs(30);

/// What `kubectl describe drainpolicy` said.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    /// While a request was in flight on a deleted pod.
    pub(crate) during: String,
    /// When the pod was gone.
    pub(crate) after: String,
    /// The status line of that request's answer.
    pub(crate) answer: String,
}

/// Deletes a pod with a request in flight, and describes the policy meanwhile and afterwards.
pub(crate) async fn watch_a_drain(cluster: &Cluster) -> Result<Drain> {
    let namespace = TestNamespace {
        cluster: cluster.clone(),
        name: Setup::Ebb.namespace().to_owned(),
    };
    let list = namespace
        .api::<Pod>()
        .list(&ListParams::default().labels(&format!("app={NAME}")))
        .await?;
    let pod = list
        .items
        .into_iter()
        .find(pods::is_ready)
        .context("no pod is ready")?;
    let name = pod.metadata.name.clone().context("a pod without a name")?;
    let mut client = Client::connect(pods::address(&pod, HTTP_PORT)?).await?;
    client
        .request("POST", &format!("/slow?seconds={REQUEST_SECONDS}"))
        .await?;
    eventually("the request to be in flight", SHOWN, async || {
        let in_flight: u64 = pods::report(&pod).await?.now.in_flight.values().sum();
        ensure!(in_flight > 0, "nothing is in flight");
        Ok(())
    })
    .await?;
    namespace
        .api::<Pod>()
        .delete(&name, &DeleteParams::default())
        .await?;

    let policies = namespace.api::<DrainPolicy>();
    eventually("the policy to show the drain", SHOWN, async || {
        let status = policies
            .get(NAME)
            .await?
            .status
            .context("it has no status")?;
        let active = status.active.iter().find(|active| active.pod == name);
        let active = active.context("the pod is not among the active ones")?;
        ensure!(active.progress.contains("in flight"), "{}", active.progress);
        Ok(())
    })
    .await?;
    let during = namespace
        .kubectl(&["describe", "drainpolicy", NAME])
        .await?;
    let limit = Duration::from_secs(REQUEST_SECONDS + 5);
    let answer = client.read_until(&format!("{name}\n"), limit).await?;
    eventually("the policy to show the drain's end", SHOWN, async || {
        let status = policies
            .get(NAME)
            .await?
            .status
            .context("it has no status")?;
        ensure!(
            status.recent.iter().any(|recent| recent.pod == name),
            "the pod is not among the recent ones"
        );
        Ok(())
    })
    .await?;
    let after = namespace
        .kubectl(&["describe", "drainpolicy", NAME])
        .await?;
    let answer = answer.text.lines().next().unwrap_or("nothing").to_owned();
    Ok(Drain {
        during,
        after,
        answer,
    })
}

/// Prints everything on stdout; the table and what to try next come last, where they are seen.
pub(crate) fn print(rows: &[Row], drain: &Drain) -> Result<()> {
    let namespace = Setup::Ebb.namespace();
    writeln!(
        std::io::stdout().lock(),
        "
A pod was deleted while a request of {REQUEST_SECONDS} s was in flight on it.

$ kubectl describe drainpolicy {NAME}        # meanwhile

{}

The request was answered all the same: {}.

$ kubectl describe drainpolicy {NAME}        # afterwards

{}

Three rolling restarts of three pods in each set-up, and how many requests each kind of client lost.
{clients} HTTP/1 clients POST on keep-alive connections, {fresh} on a new connection each time, {http2} share
HTTP/2 connections; {grpc} make unary calls of gRPC, {grpc} talk on bidirectional streams, {web_sockets} wait for
echoes on WebSockets. None of them retries what the server may have begun.

{}
Try next, on the cluster, which stays up:
  cargo xtask kubectl -n {namespace} get drainpolicies
  cargo xtask kubectl -n {namespace} rollout restart deployment/{NAME}
  cargo xtask kubectl -n {namespace} describe drainpolicy {NAME}
  cargo xtask kubectl -n {namespace} events
  cargo xtask cluster shell      # a shell with kubectl and helm
  cargo xtask cluster down       # ends it; the cache stays",
        drain.during.trim_end(),
        drain.answer,
        drain.after.trim_end(),
        render(rows),
        clients = Mix::USUAL.keep_alive,
        fresh = Mix::USUAL.fresh,
        http2 = Mix::USUAL.http2 * Mix::STREAMS,
        grpc = Mix::USUAL.grpc,
        web_sockets = Mix::USUAL.web_sockets,
    )?;
    Ok(())
}
