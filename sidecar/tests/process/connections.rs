//! What a policy says about connections, from the desired state to the last words.

use crate::running::{Sidecar, quick, within};
use ebb_api::connections::{AtTimeout, ConnectionSettings};
use ebb_api::desired::Endpoints;
use ebb_api::phase::{Outcome, Phase};
use ebb_api::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is no HTTP to the relay, and is to the app.
const ODD: &str = "\x16 /slow x\r\n\r\n";

fn with(timeout_seconds: u32, connections: ConnectionSettings) -> Settings {
    Settings {
        connections,
        ..quick(timeout_seconds)
    }
}

async fn ask(sidecar: &mut Sidecar, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(sidecar.relay).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    sidecar.reached().await;
    client
}

async fn hear_hello(client: &mut TcpStream) {
    let mut heard = Vec::new();
    while !heard.ends_with(b"hello") {
        let read = within("the answer", client.read_buf(&mut heard)).await;
        assert!(read.unwrap() > 0, "the end came first: {heard:?}");
    }
}

/// A connection that is handed over is not waited for beyond the timeout and not cut: its bytes
/// flow on after SIGTERM, and only the end of the process would have cut it.
#[tokio::test]
async fn what_is_handed_over_outlives_the_timeout() {
    let mut sidecar = Sidecar::start(with(
        2,
        ConnectionSettings {
            at_timeout: AtTimeout::Handover,
            ..ConnectionSettings::default()
        },
    ))
    .await;
    let mut client = ask(&mut sidecar, ODD).await;
    sidecar.call_hooks().join_all().await;
    let drain = sidecar.report().await.last.unwrap();
    assert_eq!((drain.outcome, drain.handed_over), (Outcome::TimedOut, 1));
    assert_eq!(drain.cut_in_all(), 0);
    sidecar.tell_to_end();
    sidecar
        .until("the last words", |_| {
            let drain = sidecar.last_words().drain.unwrap();
            drain.cut_in_all() == 1
        })
        .await;
    sidecar.app.answer.notify_waiters();
    hear_hello(&mut client).await;
    drop(client);
    sidecar.ended().await;
    let drain = sidecar.last_words().drain.unwrap();
    assert_eq!((drain.outcome, drain.handed_over), (Outcome::TimedOut, 1));
    assert_eq!((drain.cut_in_all(), drain.finished), (0, 1));
}

/// How long idle HTTP/1 clients are waited for counts at once when it changes during the drain.
#[tokio::test]
async fn idle_http1_clients_are_waited_for_as_long_as_the_policy_says() {
    let mut settings = quick(100);
    settings.deregistration.idle_seconds = 60;
    let mut sidecar = Sidecar::start(settings).await;
    let mut client = ask(&mut sidecar, "GET /now HTTP/1.1\r\nhost: x\r\n\r\n").await;
    hear_hello(&mut client).await;
    let mut hooks = sidecar.call_hooks();
    let held = sidecar
        .until("draining", |report| {
            report.phase == Phase::Draining
                && report
                    .leaving
                    .as_ref()
                    .is_some_and(|so| so.elapsed_ms > 4000)
        })
        .await;
    assert!(held.now.in_flight.is_empty(), "{held:?}");
    assert!(hooks.try_join_next().is_none(), "the client may be back");
    sidecar.settings.deregistration.idle_seconds = 0;
    let desired = sidecar.desired(true, Endpoints::NotServing).await;
    assert_eq!(sidecar.put(&desired).await.status, 200);
    hooks.join_all().await;
    let drain = sidecar.end().await.drain.unwrap();
    assert_eq!((drain.outcome, drain.idle_closed), (Outcome::Drained, 1));
}

/// The drain lasts until the last goodbye is said, and a policy that spreads them no more ends the
/// waiting.
#[tokio::test]
async fn the_drain_lasts_as_long_as_goodbyes_are_spread() {
    let mut sidecar = Sidecar::start(with(
        100,
        ConnectionSettings {
            idle_seconds: 1,
            pace_seconds: 80,
            ..ConnectionSettings::default()
        },
    ))
    .await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(ask(&mut sidecar, ODD).await);
    }
    sidecar.app.answer.notify_waiters();
    for client in &mut clients {
        hear_hello(client).await;
    }
    let mut hooks = sidecar.call_hooks();
    let one_is_told = sidecar
        .until("the first to be told", |report| {
            report.phase == Phase::Draining && report.now.connections.values().sum::<u64>() == 1
        })
        .await;
    assert!(one_is_told.now.in_flight.is_empty(), "{one_is_told:?}");
    assert!(hooks.try_join_next().is_none(), "one is still to be told");
    sidecar.settings.connections.pace_seconds = 0;
    let desired = sidecar.desired(true, Endpoints::NotServing).await;
    assert_eq!(sidecar.put(&desired).await.status, 200);
    hooks.join_all().await;
    let mut rest = Vec::new();
    let end = within("the end", clients[1].read_to_end(&mut rest)).await;
    assert_eq!((end.unwrap(), rest.len()), (0, 0));
    drop(clients);
    assert_eq!(sidecar.end().await.drain.unwrap().outcome, Outcome::Drained);
}
