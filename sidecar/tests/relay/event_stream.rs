//! Event streams through sockets: under a policy that ends them a client gets a whole body between
//! two events, and the app sees it go.

use crate::harness::{End, TestRelay};
use ebb_api::connections::EventStreams;
use ebb_api::report::Protocol::EventStream;
use ebb_sidecar::stance::Stance;

const ASK: &str = "GET / HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n";
const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
const EVENT: &str = "9\r\ndata: a\n\n\r\n";

async fn connect(relay: &TestRelay) -> (End, End) {
    let (mut client, mut app) = relay.connect().await;
    client.say(ASK).await;
    app.hear(ASK).await;
    app.say([BEGIN, EVENT].concat()).await;
    client.hear([BEGIN, EVENT].concat()).await;
    (client, app)
}

/// The client hears a whole body and the end, the app that nobody listens; nothing was cut.
#[tokio::test]
async fn one_that_is_to_end_ends() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.event_streams = EventStreams::End);
    let (mut resting, mut first) = connect(&relay).await;
    let (mut busy, mut second) = connect(&relay).await;
    second.say("8\r\ndata: b\n\r\n").await;
    busy.hear("8\r\ndata: b\n\r\n").await;
    assert_eq!(relay.in_flight(EventStream), 2);
    relay.stance(Stance::Parting);
    resting.hear("0\r\n\r\n").await;
    resting.hear_end().await;
    first.hear_end().await;
    busy.hear_nothing(&relay).await;
    second.say(["1\r\n\n\r\n", EVENT].concat()).await;
    busy.hear("1\r\n\n\r\n0\r\n\r\n").await;
    busy.hear_end().await;
    relay
        .until("both to be finished", |now| now.finished >= 2)
        .await;
    assert!(relay.snapshot().cut.is_empty());
    assert_eq!(relay.in_flight(EventStream), 0);
}

/// By default it is waited for up to the deadline, which cuts it so that it can't pass for whole.
#[tokio::test]
async fn one_that_is_waited_for_is_cut_at_the_deadline() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = connect(&relay).await;
    relay.stance(Stance::Parting);
    app.say(EVENT).await;
    client.hear(EVENT).await;
    relay.stance(Stance::Cut);
    client.hear_end().await;
    assert_eq!(relay.snapshot().cut[&EventStream], 1);
}
