//! WebSocket through sockets: the Close reaches the client, its answer the app, and then all is
//! closed.

use crate::harness::{End, TestRelay};
use ebb_api::connections::WebSockets;
use ebb_api::report::Protocol::WebSocket;
use ebb_sidecar::stance::Stance;
use std::time::{Duration, Instant};

const ASK: &str = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const ASKED: &[u8] = b"\x81\x85maskhello";
const TOLD: &[u8] = b"\x81\x05hello";
const CLIENT_CLOSE: &[u8] = b"\x88\x82mask\x6e\x88";
/// A Close frame with the code 1012, which is the default.
const GOODBYE: &[u8] = b"\x88\x02\x03\xf4";

async fn connect(relay: &TestRelay) -> (End, End) {
    let (mut client, mut app) = relay.connect().await;
    client.say(ASK).await;
    app.hear(ASK).await;
    app.say([SWITCH.as_bytes(), TOLD].concat()).await;
    client.hear([SWITCH.as_bytes(), TOLD].concat()).await;
    client.say(ASKED).await;
    app.hear(ASKED).await;
    (client, app)
}

/// The client hears 1012 and answers; the app hears the answer and the end, the client the end, and
/// nothing was cut.
#[tokio::test]
async fn both_sides_part_in_good_order() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = connect(&relay).await;
    relay.stance(Stance::Parting);
    client.hear(GOODBYE).await;
    assert_eq!(relay.in_flight(WebSocket), 1);
    app.say(TOLD).await;
    client.say([ASKED, CLIENT_CLOSE].concat()).await;
    app.hear([ASKED, CLIENT_CLOSE].concat()).await;
    app.hear_end().await;
    assert_eq!(relay.in_flight(WebSocket), 0);
    app.say(b"\x88\x02\x03\xe9").await;
    app.finish().await;
    client.hear_end().await;
    drop(client);
    relay
        .until("it to end", |now| now.connections.is_empty())
        .await;
    let snapshot = relay.snapshot();
    assert_eq!((snapshot.finished, snapshot.idle_closed), (1, 0));
}

/// Neither a client that does not answer nor an app that does not close holds the connection.
#[tokio::test]
async fn nobody_holds_it() {
    let relay = TestRelay::new().await;
    let (mut silent, _first) = connect(&relay).await;
    let (mut answering, mut stubborn) = connect(&relay).await;
    relay.stance(Stance::Parting);
    silent.hear(GOODBYE).await;
    answering.hear(GOODBYE).await;
    answering.say(CLIENT_CLOSE).await;
    stubborn.hear(CLIENT_CLOSE).await;
    answering.hear_end().await;
    silent.hear_end().await;
    assert_eq!(relay.snapshot().in_flight_in_all(), 0);
    assert!(relay.snapshot().cut.is_empty());
}

/// What was said can't be unsaid: a pod that stays after all brings it to its end, although the
/// client does not answer.
#[tokio::test]
async fn a_drain_that_heals_ends_what_it_began() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = connect(&relay).await;
    relay.stance(Stance::Parting);
    client.hear(GOODBYE).await;
    relay.stance(Stance::Serving);
    client.hear_end().await;
    app.hear_end().await;
}

/// A policy that waits for WebSockets says nothing to them; another one that follows does, at once;
/// and at the deadline they hear the same goodbye.
#[tokio::test]
async fn the_policy_may_wait_for_them() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.web_sockets = WebSockets::Wait);
    let (mut first, mut first_app) = connect(&relay).await;
    let (mut second, mut second_app) = connect(&relay).await;
    relay.stance(Stance::Draining);
    // Between any two messages of the second second it would be said.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        for (client, app) in [(&mut first, &mut first_app), (&mut second, &mut second_app)] {
            client.say(ASKED).await;
            app.hear(ASKED).await;
            app.say(TOLD).await;
            client.hear(TOLD).await;
        }
    }
    assert_eq!(relay.in_flight(WebSocket), 2);
    relay.settings(|settings| settings.web_sockets = WebSockets::Goodbye);
    first.hear(GOODBYE).await;
    second.hear(GOODBYE).await;

    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.web_sockets = WebSockets::Wait);
    let (mut client, _app) = connect(&relay).await;
    relay.stance(Stance::Cut);
    client.hear(GOODBYE).await;
    client.hear_end().await;
    assert_eq!(relay.snapshot().cut[&WebSocket], 1);
}

/// The deadline: a Close between two frames, an end inside of one; each is counted.
#[tokio::test]
async fn the_deadline_cuts() {
    let relay = TestRelay::new().await;
    let (mut between, _first) = connect(&relay).await;
    let (mut inside, mut second) = connect(&relay).await;
    second.say(&TOLD[..3]).await;
    inside.hear(&TOLD[..3]).await;
    relay.stance(Stance::Cut);
    between.hear(GOODBYE).await;
    between.hear_end().await;
    inside.hear_end().await;
    assert_eq!(relay.snapshot().cut[&WebSocket], 2);
    assert_eq!(relay.snapshot().in_flight_in_all(), 0);
}
