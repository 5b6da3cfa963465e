//! What is no HTTP/1: bytes, halves and resets pass as they come.

use crate::harness::TestRelay;
use ebb_api::report::Protocol::Opaque;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that speaks first is heard at once, and a connection that was only greeted is idle.
#[tokio::test]
async fn the_app_may_speak_first() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    app.say("220 mail\r\n").await;
    client.hear("220 mail\r\n").await;
    assert_eq!(relay.snapshot().in_flight_in_all(), 0);
    assert_eq!(relay.snapshot().work, 0);
    client.say("EHLO a\r\n").await;
    app.hear("EHLO a\r\n").await;
    assert_eq!(relay.in_flight(Opaque), 1);
    assert_eq!(relay.snapshot().work, 1);
}

/// Each side can say that it is done and still listen.
#[tokio::test]
async fn half_close_in_both_directions() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say("\x16question").await;
    client.finish().await;
    app.hear("\x16question").await;
    app.hear_end().await;
    app.say("answer").await;
    app.finish().await;
    client.hear("answer").await;
    client.hear_end().await;
    relay
        .until("the connection to end", |now| now.connections.is_empty())
        .await;
    assert_eq!(relay.snapshot().finished, 1);

    let (mut client, mut app) = relay.connect().await;
    app.say("\x16all").await;
    app.finish().await;
    client.hear("\x16all").await;
    client.hear_end().await;
    client.say("still here").await;
    app.hear("still here").await;
}

/// A reset is a reset on the other side.
#[tokio::test]
async fn reset_in_both_directions() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say("\x16").await;
    app.hear("\x16").await;
    client.reset();
    app.hear_reset().await;
    let (mut client, mut app) = relay.connect().await;
    client.say("\x16").await;
    app.hear("\x16").await;
    app.reset();
    client.hear_reset().await;
    relay
        .until("both to end", |now| now.connections.is_empty())
        .await;
}

/// An app that does not listen: the client is reset, as it would be without the relay.
#[tokio::test]
async fn an_app_that_does_not_listen() {
    let relay = TestRelay::new().await;
    let address = relay.app.local_addr().unwrap();
    let gone = TestRelay::with(
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ebb_sidecar::upstream::OriginalDestination::Fixed(address),
    );
    drop(relay);
    let mut client = gone.client().await;
    client.hear_reset().await;
    gone.until("it to end", |now| now.connections.is_empty())
        .await;
}

/// A connection that was made straight to the relay has nowhere to go.
#[tokio::test]
async fn the_relay_s_own_port_is_no_destination() {
    let app = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_ports = ebb_sidecar::upstream::OriginalDestination::NamedPorts(BTreeMap::new());
    let relay = TestRelay::with(app, no_ports);
    let mut client = relay.client().await;
    client.hear_reset().await;
}

/// Big bodies pass whole in both directions at once, however slowly they are read, and meanwhile
/// the relay takes no more than its bounded buffer from the app.
#[tokio::test]
async fn a_slow_reader_holds_the_app_back() {
    let relay = TestRelay::new().await;
    let (client, app) = relay.connect().await;
    let bytes: Vec<u8> = (0..32 << 20).map(|index: u32| (index * 7) as u8).collect();
    let (mut client_reads, mut client_writes) = client.0.into_split();
    let (mut app_reads, mut app_writes) = app.0.into_split();
    client_writes.write_all(b"\x16").await.unwrap();
    let written = std::cell::Cell::new(0);
    let write = async {
        for piece in bytes.chunks(64 * 1024) {
            app_writes.write_all(piece).await.unwrap();
            written.set(written.get() + piece.len());
        }
        drop(app_writes);
    };
    let read = async {
        relay
            .until("the client to be full", |now| now.buffered == 1)
            .await;
        assert!(
            written.get() < bytes.len() - (1 << 20),
            "the app was not held back"
        );
        let mut heard = Vec::new();
        client_reads.read_to_end(&mut heard).await.unwrap();
        assert!(heard == bytes, "the bytes changed");
    };
    let up = async {
        client_writes.write_all(&bytes).await.unwrap();
        drop(client_writes);
    };
    let app_hears = async {
        let mut heard = Vec::new();
        app_reads.read_to_end(&mut heard).await.unwrap();
        assert!(heard[1..] == bytes, "the bytes changed");
    };
    crate::harness::within("all bytes", async {
        tokio::join!(write, read, up, app_hears)
    })
    .await;
    relay
        .until("it to end", |now| now.connections.is_empty())
        .await;
}
