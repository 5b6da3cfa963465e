//! The load clients as a program: progress on stderr, the result as JSON on stdout.
//!
//! SIGTERM and SIGINT end it early; open requests are finished and counted.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use ebb_load::kind::Mix;
use ebb_load::tally::{Sample, Summary};
use ebb_load::target::Target;
use ebb_load::{Plan, Progress};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often progress is told.
const PERIOD: Duration = Duration::from_secs(5);

/// Sends requests that are never retried to the sample application, at an address of this machine
/// or of the test bed, and counts what is lost. Run it in the network of a node to reach Services.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address and port, such as 198.18.128.10:80.
    target: Target,
    /// The path of the POSTs.
    #[arg(long, default_value = "/")]
    path: String,
    /// HTTP/1 clients that stay on their connections.
    #[arg(long, default_value_t = Mix::USUAL.keep_alive)]
    keep_alive: usize,
    /// HTTP/1 clients that make a connection for each request.
    #[arg(long, default_value_t = Mix::USUAL.fresh)]
    fresh: usize,
    /// HTTP/2 connections, each with four requests at a time.
    #[arg(long, default_value_t = Mix::USUAL.http2)]
    http2: usize,
    /// gRPC connections, each with a unary call and a bidirectional stream at a time.
    #[arg(long, default_value_t = Mix::USUAL.grpc)]
    grpc: usize,
    /// WebSockets.
    #[arg(long, default_value_t = Mix::USUAL.web_sockets)]
    web_sockets: usize,
    /// The longest time, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The most requests.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
}

#[derive(Serialize)]
struct Output {
    #[serde(flatten)]
    summary: Summary,
    connections: u64,
    seconds: f64,
    samples: Vec<Sample>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = Plan {
        path: arguments.path,
        mix: Mix {
            keep_alive: arguments.keep_alive,
            fresh: arguments.fresh,
            http2: arguments.http2,
            grpc: arguments.grpc,
            web_sockets: arguments.web_sockets,
        },
        most_requests: arguments.requests,
        longest: Duration::from_secs(arguments.seconds),
        ..Plan::usual(arguments.target)
    };
    let mut sigterm = signal(SignalKind::terminate())?;
    let mut sigint = signal(SignalKind::interrupt())?;
    let (stop, stopping) = watch::channel(false);
    let (progress, seen) = watch::channel(Progress::default());
    let mut ticks = tokio::time::interval(PERIOD);
    let mut run = std::pin::pin!(plan.run(stopping, progress));
    let tally = loop {
        tokio::select! {
            tally = run.as_mut() => break tally,
            _ = sigterm.recv() => { stop.send_replace(true); }
            _ = sigint.recv() => { stop.send_replace(true); }
            _ = ticks.tick() => {
                let Progress { requests, failed } = *seen.borrow();
                eprintln!("{requests} requests, {failed} failed");
            }
        }
    };
    let output = Output {
        summary: tally.summary(),
        connections: tally.connections,
        seconds: tally.seconds,
        samples: tally.samples,
    };
    writeln!(
        std::io::stdout().lock(),
        "{}",
        serde_json::to_string_pretty(&output)?
    )?;
    Ok(())
}
