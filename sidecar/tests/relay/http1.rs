//! HTTP/1 while serving: nothing changes, and the census knows what is in flight.

use crate::harness::{GET, OK, TestRelay, within};
use ebb_api::report::Protocol::{Http1, Opaque};

/// A request is in flight until its last byte was read from the app; the idle connection after it
/// is not, and serves the next one.
#[tokio::test]
async fn keep_alive() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    for finished in 1..=3 {
        client.say(GET).await;
        app.hear(GET).await;
        assert_eq!(relay.in_flight(Http1), 1);
        app.say(&OK[..OK.len() - 1]).await;
        client.hear(&OK[..OK.len() - 1]).await;
        assert_eq!(relay.in_flight(Http1), 1, "a byte is still to come");
        app.say(&OK[OK.len() - 1..]).await;
        client.hear(&OK[OK.len() - 1..]).await;
        assert_eq!(relay.in_flight(Http1), 0);
        assert_eq!(relay.snapshot().finished, finished);
    }
    assert_eq!(relay.snapshot().connections[&Http1], 1);
    drop(client);
    app.hear_end().await;
    drop(app);
    relay
        .until("the connection to end", |now| now.connections.is_empty())
        .await;
}

/// Pipelined requests are counted one by one and answered in their order.
#[tokio::test]
async fn pipelining() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    let post = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    let head = "HEAD / HTTP/1.1\r\n\r\n";
    let all = [GET, post, head].concat();
    client.say(&all).await;
    app.hear(&all).await;
    assert_eq!(relay.in_flight(Http1), 3);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    let no_body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    for (answer, left) in [(OK, 2), (chunked, 1), (no_body, 0)] {
        app.say(answer).await;
        client.hear(answer).await;
        assert_eq!(relay.in_flight(Http1), left);
    }
}

/// Interim answers don't end a request, and an upgrade makes the connection opaque.
#[tokio::test]
async fn interim_answers_and_upgrade() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    let expect = "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    client.say(expect).await;
    app.hear(expect).await;
    app.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.hear("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(relay.in_flight(Http1), 1);
    client.say("x").await;
    app.hear("x").await;
    app.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.hear("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(relay.in_flight(Http1), 0);

    let upgrade = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
    client.say(upgrade).await;
    app.hear(upgrade).await;
    app.say("HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
        .await;
    client
        .hear("HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
        .await;
    client.say("\0\0GET").await;
    app.hear("\0\0GET").await;
    let snapshot = relay.snapshot();
    assert_eq!(snapshot.connections[&Opaque], 1);
    assert_eq!(snapshot.in_flight[&Opaque], 1);
}

/// A body that only the end of the connection delimits ends with it.
#[tokio::test]
async fn close_delimited() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say("GET / HTTP/1.0\r\n\r\n").await;
    app.hear("GET / HTTP/1.0\r\n\r\n").await;
    app.say("HTTP/1.0 200 OK\r\n\r\nbody").await;
    client.hear("HTTP/1.0 200 OK\r\n\r\nbody").await;
    assert_eq!(relay.in_flight(Http1), 1);
    drop(app);
    client.hear_end().await;
    assert_eq!(relay.in_flight(Http1), 0);
    assert_eq!(relay.snapshot().finished, 1);
}

/// The hook's release is event-driven: a reader that waits wakes by the last byte of the answer.
#[tokio::test]
async fn the_last_byte_wakes_a_reader() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say(GET).await;
    app.hear(GET).await;
    let mut changes = relay.census.changes();
    app.say(OK).await;
    within("the census to change", changes.changed()).await;
    assert_eq!(relay.in_flight(Http1), 0);
    client.hear(OK).await;
}
