//! The controller's process: arguments, log, runtime, run.

use anyhow::{Context, bail};
use clap::Parser;
use ebb_controller::api_server::Clients;
use ebb_controller::app;
use ebb_controller::config::{Arguments, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_new(&arguments.log)
        .with_context(|| format!("EBB_LOG={} can't be read", arguments.log))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok()
        .context("another TLS provider is installed already")?;
    let config = Config::try_from(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(Box::pin(run(config)))
}

/// Runs until the first signal, and ends what is under way; a second one ends it at once.
async fn run(config: Config) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut asked_to_stop = async || {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    };
    // A kubeconfig if there is one, else what kubelet gives to every pod.
    let cluster = kube::Config::infer()
        .await
        .context("neither KUBECONFIG nor a pod's environment says where the API server is")?;
    info!(server = %cluster.cluster_url, namespace = config.namespace, "starting");
    let clients = Clients::new(&cluster).context("cannot make clients of the API server")?;
    let stop = CancellationToken::new();
    let mut running = Box::pin(app::run(config, clients, stop.clone()));
    tokio::select! {
        ended = &mut running => return ended,
        signal = asked_to_stop() => info!(signal, "stopping"),
    }
    stop.cancel();
    tokio::select! {
        ended = &mut running => ended?,
        signal = asked_to_stop() => bail!("{signal} came a second time"),
    }
    info!("stopped");
    Ok(())
}
