//! The end of a drain: who is closed when the app is gone, who is cut at the deadline, and what of
//! all that was written has arrived.

use crate::harness::{GET, LAST, OK, TestRelay, within};
use ebb_api::report::Protocol::{Http1, Opaque};
use ebb_sidecar::capture::kernel::unacknowledged;
use ebb_sidecar::relay::delivery::delivered;
use ebb_sidecar::stance::Stance;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TIMEOUT: &str =
    "HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// When the app is gone idle connections are closed, and those with a request in flight are not.
#[tokio::test]
async fn closing_takes_the_idle_ones() {
    let relay = TestRelay::new().await;
    let (mut idle, _idle_app) = relay.served().await;
    let (mut fresh, _fresh_app) = relay.connect().await;
    let (mut busy, mut busy_app) = relay.connect().await;
    busy.say(GET).await;
    busy_app.hear(GET).await;
    relay.stance(Stance::Closing);
    idle.hear_end().await;
    fresh.hear_end().await;
    assert_eq!(relay.snapshot().idle_closed, 2);
    assert_eq!(relay.in_flight(Http1), 1);
    busy_app.say(OK).await;
    busy.hear(LAST).await;
    busy.hear_end().await;
    assert_eq!(relay.snapshot().idle_closed, 2);
}

/// When the app is gone, what it left unanswered is closed, even if its client stays.
#[tokio::test]
async fn closing_takes_what_the_app_left() {
    let relay = TestRelay::new().await;
    let (mut opaque, mut opaque_app) = relay.connect().await;
    opaque.say("\x16fire and forget").await;
    opaque_app.hear("\x16fire and forget").await;
    let (mut unanswered, mut app) = relay.connect().await;
    unanswered.say(GET).await;
    app.hear(GET).await;
    let (mut talking, mut talking_app) = relay.connect().await;
    talking.say("\x16on and").await;
    talking_app.hear("\x16on and").await;
    assert_eq!(relay.snapshot().in_flight_in_all(), 3);
    drop(app);
    opaque_app.finish().await;
    talking_app.finish().await;
    relay
        .until("nothing to be in flight", |now| now.in_flight_in_all() == 0)
        .await;
    talking.say(" on").await;
    talking_app.hear(" on").await;
    unanswered.hear_end().await;
    opaque.hear_end().await;
    talking.hear_end().await;
    relay.stance(Stance::Closing);
    opaque_app.hear_end().await;
    talking_app.hear_end().await;
    drop((opaque, unanswered, talking));
    relay
        .until("all to end", |now| now.connections.is_empty())
        .await;
}

/// A process that ends closes what it has: by a FIN, or by a reset where it has not read all. Each
/// breaks off what is in flight; a client that goes first gives it up.
#[tokio::test]
async fn whoever_goes_first_has_ended_it() {
    let relay = TestRelay::new().await;
    let (mut told, mut app) = relay.connect().await;
    told.say(GET).await;
    app.hear(GET).await;
    drop(app);
    told.hear_end().await;
    let (mut reset, app) = relay.connect().await;
    reset.say(GET).await;
    within("the request", app.0.peek(&mut [0])).await.unwrap();
    drop(app);
    reset.hear_reset().await;
    let (mut gone, mut app) = relay.connect().await;
    gone.say(GET).await;
    app.hear(GET).await;
    gone.reset();
    app.hear_reset().await;
    relay
        .until("all to end", |now| now.connections.len() <= 1)
        .await;
    let snapshot = relay.snapshot();
    assert_eq!(snapshot.broken, [(Http1, 2)].into());
    assert_eq!((snapshot.finished, snapshot.given_up), (0, 1));
}

/// The deadline: a request that the app has seen gets 504, an answer that has begun ends so that it
/// can't pass for whole, an opaque connection is closed; each is counted.
#[tokio::test]
async fn the_deadline_cuts() {
    let relay = TestRelay::new().await;
    let (mut unanswered, mut first) = relay.connect().await;
    unanswered.say(GET).await;
    first.hear(GET).await;
    let (mut half, mut second) = relay.connect().await;
    half.say(GET).await;
    second.hear(GET).await;
    second.say(&OK[..OK.len() - 1]).await;
    half.hear(&OK[..OK.len() - 1]).await;
    let (mut until_close, mut third) = relay.connect().await;
    until_close.say(GET).await;
    third.hear(GET).await;
    third.say("HTTP/1.1 200 OK\r\n\r\nbody").await;
    until_close.hear("HTTP/1.1 200 OK\r\n\r\nbody").await;
    let (mut opaque, mut fourth) = relay.connect().await;
    opaque.say("\x16").await;
    fourth.hear("\x16").await;
    let (mut idle, _fifth) = relay.connect().await;

    relay.stance(Stance::Cut);
    unanswered.hear(TIMEOUT).await;
    unanswered.hear_end().await;
    half.hear_end().await;
    until_close.hear_reset().await;
    opaque.hear_end().await;
    idle.hear_end().await;
    let snapshot = relay.snapshot();
    assert_eq!(snapshot.cut[&Http1], 3);
    assert_eq!(snapshot.cut[&Opaque], 1);
    assert_eq!(snapshot.idle_closed, 1);
    assert_eq!(snapshot.in_flight_in_all(), 0);
    assert_eq!(snapshot.finished, 0);
}

/// A client that takes nothing does not make a cut answer look whole.
#[tokio::test]
async fn a_cut_over_unread_bytes_is_a_reset() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say("GET / HTTP/1.0\r\n\r\n").await;
    app.hear("GET / HTTP/1.0\r\n\r\n").await;
    app.say("HTTP/1.0 200 OK\r\n\r\n").await;
    client.hear("HTTP/1.0 200 OK\r\n\r\n").await;
    let fill = async { while app.0.write_all(&[0; 65536]).await.is_ok() {} };
    let cut = async {
        relay
            .until("the client to be full", |now| now.buffered == 1)
            .await;
        relay.stance(Stance::Cut);
    };
    within("the cut", async { tokio::join!(fill, cut) }).await;
    let mut rest = Vec::new();
    let end = within("the end", client.0.read_to_end(&mut rest)).await;
    assert!(end.is_err(), "the client can't take this for whole");
    assert_eq!(relay.snapshot().cut[&Http1], 1);
}

/// What was written is not delivered before the client has acknowledged it, even on a connection
/// that is closed.
#[tokio::test]
async fn delivery_is_what_the_client_acknowledged() {
    let relay = TestRelay::new().await;
    let port = relay.address.port();
    let (mut client, mut app) = relay.connect().await;
    client.say(GET).await;
    app.hear(GET).await;
    relay.stance(Stance::Closing);
    let body = vec![b'x'; 200_000];
    app.say(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ))
    .await;
    let socket = socket2::SockRef::from(&client.0);
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    app.say(&body).await;
    relay
        .until("the answer to end", |now| now.finished == 1)
        .await;
    assert!(unacknowledged(&[port].into()).await.unwrap() > 0);
    let mut delivered = std::pin::pin!(delivered(&relay.census, &relay.upstream));
    tokio::select! {
        biased;
        () = &mut delivered => panic!("the client has not read it"),
        () = relay.until("the relay to have closed", |now| now.connections.is_empty()) => {}
    }
    let mut heard = Vec::new();
    let (_, ()) = within("delivery", async {
        tokio::join!(client.0.read_to_end(&mut heard), delivered)
    })
    .await;
    assert!(heard.ends_with(&body));
}
