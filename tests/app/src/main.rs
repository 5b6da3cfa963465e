//! The sample application as a program; see [`ebb_sample_app`].

use anyhow::Result;
use clap::Parser as _;
use ebb_sample_app::{Config, log::Log};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let config = Config::parse();
    // Before anything else: the first process of a container does not even die of a signal that it
    // has no handler for.
    let mut sigterm = signal(SignalKind::terminate())?;
    let log = Log::to(std::io::stdout());
    let bound = tokio::select! {
        bound = config.bind(log) => bound?,
        _ = sigterm.recv() => return Ok(()),
    };
    bound
        .serve(async move {
            sigterm.recv().await;
        })
        .await;
    Ok(())
}
