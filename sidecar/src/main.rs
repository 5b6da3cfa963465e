//! `ebb-sidecar` relays and drains; `ebb-sidecar redirect` is the one-shot step before it.

use anyhow::{Context, bail};
use ebb_sidecar::capture::init;
use ebb_sidecar::{app, config::Config};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io::IsTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    log_to_stderr();
    allow_all_descriptors();
    match std::env::args().nth(1).as_deref() {
        None => {
            let mut sigterm = signal(SignalKind::terminate()).context("SIGTERM is not heard")?;
            let config = Config::from_environment();
            config.log();
            raise_capability();
            let sidecar = app::bind(config).await;
            let sigterm = async {
                sigterm.recv().await;
            };
            sidecar.run(sigterm).await
        }
        Some("redirect") => {
            // It ends well whatever happens: a pod without the redirect is better than none.
            let config = Config::from_environment();
            config.log();
            init::run(&config).await;
            Ok(())
        }
        Some(other) => bail!("unknown argument {other:?}: say nothing, or redirect"),
    }
}

/// Takes the number of file descriptors that the process may have for the one that it has: each
/// relayed connection needs two, and runtimes start containers with as few as 1,024.
fn allow_all_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of file descriptors stays as it is");
    }
}

/// Raises the capability that transparent sockets take, if the process may have it: the program's
/// file permits it, and does not raise it by itself, or the program could not be started where the
/// pod's own rules forbid it.
///
/// Capabilities belong to threads; those that come later have what this one has.
fn raise_capability() {
    let raised = capabilities(None).and_then(|mut sets| {
        let wanted = sets.permitted & CapabilitySet::NET_RAW;
        if sets.effective.contains(wanted) {
            return Ok(());
        }
        sets.effective |= wanted;
        set_capabilities(None, sets)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the capability NET_RAW is not raised");
    }
}

/// One line of JSON for each event, or something for people where a person looks. `EBB_LOG` says
/// how much: `debug`, or `info,ebb_sidecar=trace`.
fn log_to_stderr() {
    let targets = std::env::var("EBB_LOG")
        .ok()
        .and_then(|text| text.parse().ok());
    let targets = targets.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = layer().with_writer(std::io::stderr);
    let logs = tracing_subscriber::registry().with(targets);
    if std::io::stderr().is_terminal() {
        logs.with(lines).init();
    } else {
        let lines = lines.json().flatten_event(true).with_target(false);
        logs.with(lines).init();
    }
}
