//! The load clients against servers that lose requests in every way there is: a tally that missed
//! one kind would make every proof of "nothing lost" worthless. Loopback only, no cluster.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test, its helpers included"
)]

mod good;
mod grpc;
mod http1;
mod http2;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use ebb_load::kind::{Kind, Mix};
use ebb_load::tally::Tally;
use ebb_load::{Plan, Progress};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Runs clients of the given kind for `requests` requests against a server that treats each
/// connection as `serve` does.
async fn tally_of<F>(
    kind: Kind,
    requests: u64,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> Tally
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    run(mix_of(kind), requests, address).await
}

/// The fewest clients among which one is of this kind.
fn mix_of(kind: Kind) -> Mix {
    let mut mix = Mix::default();
    *match kind {
        Kind::KeepAlive => &mut mix.keep_alive,
        Kind::Fresh => &mut mix.fresh,
        Kind::Http2 => &mut mix.http2,
        Kind::GrpcCall | Kind::GrpcStream => &mut mix.grpc,
        Kind::WebSocket => &mut mix.web_sockets,
    } = 1;
    mix
}

async fn run(mix: Mix, requests: u64, address: SocketAddr) -> Tally {
    let plan = Plan {
        mix,
        most_requests: requests,
        longest: Duration::from_secs(30),
        answer_timeout: Duration::from_secs(1),
        ..Plan::usual(address.try_into().expect("it is a loopback address"))
    };
    let (_stop, stopping) = watch::channel(false);
    let (progress, _seen) = watch::channel(Progress::default());
    plan.run(stopping, progress).await
}

/// This number of requests ended, and this number of them is counted as failed.
#[track_caller]
fn assert_counted(tally: &Tally, requests: u64, failed: u64) {
    assert_eq!(
        (tally.requests, tally.failed),
        (requests, failed),
        "{:?}",
        tally.reasons
    );
}

#[track_caller]
fn assert_all_failed(tally: &Tally, requests: u64, reason: &str) {
    assert_counted(tally, requests, requests);
    assert_eq!(
        tally.reasons.get(reason),
        Some(&requests),
        "{:?}",
        tally.reasons
    );
}
