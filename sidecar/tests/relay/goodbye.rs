//! While leaving: who is told what.

use crate::harness::{End, GET, LAST, OK, TestRelay};
use ebb_api::report::Protocol::{Http1, Opaque};
use ebb_sidecar::stance::Stance;

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// The next answer says goodbye, wherever its head was cut; then both sides are closed.
#[tokio::test]
async fn the_next_answer_is_the_last() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.served().await;
    relay.stance(Stance::Parting);
    client.hear_nothing(&relay).await;
    client.say(GET).await;
    app.hear(GET).await;
    app.say(&OK[..20]).await;
    client.hear_nothing(&relay).await;
    app.say(&OK[20..]).await;
    client.hear(LAST).await;
    client.hear_end().await;
    app.hear_end().await;
    drop(client);
    relay
        .until("it to end", |now| !now.connections.contains_key(&Http1))
        .await;
    assert_eq!(relay.snapshot().idle_closed, 0);
}

/// An answer that has begun stays as it is; the one after it is the last.
#[tokio::test]
async fn an_answer_that_has_begun_is_left_alone() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say(GET).await;
    app.hear(GET).await;
    app.say(&OK[..20]).await;
    client.hear(&OK[..20]).await;
    relay.stance(Stance::Parting);
    app.say(&OK[20..]).await;
    client.hear(&OK[20..]).await;
    client.ask(&mut app, LAST).await;
    client.hear_end().await;
}

/// A connection on whose second request the app works while the pod leaves; the third waits in the
/// relay.
async fn gated(relay: &TestRelay) -> (End, End) {
    let (mut client, mut app) = relay.connect().await;
    client.say([GET, GET].concat()).await;
    app.hear([GET, GET].concat()).await;
    relay.stance(Stance::Parting);
    app.say(OK).await;
    client.hear(OK).await;
    client.say(GET).await;
    app.hear_nothing(relay).await;
    (client, app)
}

/// Of pipelined requests all that the app has seen are answered, the last with the goodbye, and no
/// further one goes to the app.
#[tokio::test]
async fn pipelined_requests_are_answered_first() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = gated(&relay).await;
    app.say(OK).await;
    client.hear(LAST).await;
    client.hear_end().await;
    app.hear_end().await;
}

/// A client that leaves while its last answer comes is noticed: a silent stream would hold the
/// drain for nobody.
#[tokio::test]
async fn a_client_that_leaves_behind_the_gate() {
    const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const LAST_STREAM: &str =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let relay = TestRelay::new().await;
    relay.stance(Stance::Parting);
    let (mut resets, mut first) = relay.connect().await;
    let (mut finishes, mut second) = relay.connect().await;
    for (client, app) in [(&mut resets, &mut first), (&mut finishes, &mut second)] {
        client.say(GET).await;
        app.hear(GET).await;
        app.say(STREAM).await;
        client.hear(LAST_STREAM).await;
    }
    resets.reset();
    first.hear_reset().await;
    finishes.finish().await;
    second.hear_end().await;
    second.say("0\r\n\r\n").await;
    finishes.hear("0\r\n\r\n").await;
    finishes.hear_end().await;
    relay
        .until("both to end", |now| now.in_flight_in_all() == 0)
        .await;
}

/// An answer that comes before the end of an upload does not cut it, although it is the last.
#[tokio::test]
async fn an_early_answer_does_not_cut_the_upload() {
    const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
    let relay = TestRelay::new().await;
    relay.stance(Stance::Parting);
    let (mut client, mut app) = relay.connect().await;
    client.say([POST, "01234"].concat()).await;
    app.hear([POST, "01234"].concat()).await;
    app.say(OK).await;
    client.hear(LAST).await;
    client.say("56").await;
    app.hear("56").await;
    client.hear_nothing(&relay).await;
    client.say(["789", GET].concat()).await;
    app.hear("789").await;
    client.hear_end().await;
    app.hear_end().await;
}

/// A drain that heals leaves no trace: the gate opens and answers are whole again.
#[tokio::test]
async fn a_drain_that_heals() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = gated(&relay).await;
    relay.stance(Stance::Serving);
    app.hear(GET).await;
    app.say([OK, OK].concat()).await;
    client.hear([OK, OK].concat()).await;
    assert_eq!(relay.snapshot().in_flight_in_all(), 0);
}

/// A client that is kept though the app has closed its idle connection, since the pod leaves.
async fn kept(relay: &TestRelay) -> End {
    let (mut client, app) = relay.served().await;
    relay.stance(Stance::Parting);
    drop(app);
    client.hear_nothing(relay).await;
    client
}

/// The app closes an idle connection while leaving: its client keeps it until it asks again, and
/// hears that it may ask elsewhere at once.
#[tokio::test]
async fn a_request_that_finds_no_app() {
    let mut relay = TestRelay::new().await;
    let mut client = kept(&relay).await;
    relay.app = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    client.say(&GET[..10]).await;
    client.say(&GET[10..]).await;
    client.hear(UNAVAILABLE).await;
    client.hear_end().await;
    assert_eq!(relay.snapshot().refused, 1);
    assert_eq!(relay.snapshot().in_flight_in_all(), 0);
}

/// An app that only tidies up its idle connections still serves the next request.
#[tokio::test]
async fn an_app_that_closes_idle_connections_still_serves() {
    let relay = TestRelay::new().await;
    let mut client = kept(&relay).await;
    client.say(GET).await;
    let mut app = relay.accept().await;
    app.hear(GET).await;
    app.say(OK).await;
    client.hear(LAST).await;
    client.hear_end().await;
    assert_eq!(relay.snapshot().refused, 0);
}

/// An idle opaque connection is closed toward the app first, so that the app's own goodbye reaches
/// the client; so is one whose app has never spoken, after the same silence. One whose client waits
/// is left alone, and so is one that nobody has used.
#[tokio::test]
async fn an_idle_opaque_connection_gets_the_app_s_own_goodbye() {
    let relay = TestRelay::new().await;
    let (mut idle, mut idle_app) = relay.connect().await;
    idle.say("\x16question").await;
    idle_app.hear("\x16question").await;
    idle_app.say("answer").await;
    idle.hear("answer").await;
    let (mut waiting, mut waiting_app) = relay.connect().await;
    waiting_app.say("hello").await;
    waiting.hear("hello").await;
    waiting.say("\x16question").await;
    waiting_app.hear("\x16question").await;
    let (mut only_told, mut silent_app) = relay.connect().await;
    only_told.say("<14>a line").await;
    silent_app.hear("<14>a line").await;
    let (mut greeted, mut greeting_app) = relay.connect().await;
    greeting_app.say("220 mail\r\n").await;
    greeted.hear("220 mail\r\n").await;
    assert_eq!(
        relay.in_flight(Opaque),
        3,
        "the app spoke last, a moment ago"
    );
    relay.stance(Stance::Parting);
    idle_app.hear_end().await;
    silent_app.hear_end().await;
    assert_eq!(relay.in_flight(Opaque), 1);
    idle_app.say("goodbye").await;
    idle_app.finish().await;
    idle.hear("goodbye").await;
    idle.hear_end().await;
    greeted.hear_nothing(&relay).await;
    waiting_app.say("answer").await;
    waiting.hear("answer").await;
    waiting_app.hear_end().await;
    // An app that has no goodbye to say does not hold its client for ever.
    waiting.hear_end().await;
    assert_eq!(relay.snapshot().idle_closed, 0);
}

/// A changed policy counts at once, for an opaque connection that is being waited for too.
#[tokio::test]
async fn another_silence_counts_for_open_connections() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.idle_seconds = 3600);
    let (mut client, mut app) = relay.connect().await;
    client.say("\x16question").await;
    app.hear("\x16question").await;
    app.say("answer").await;
    client.hear("answer").await;
    relay.stance(Stance::Parting);
    app.hear_nothing(&relay).await;
    let settles_at = relay.snapshot().settles_at.expect("it is in flight");
    assert!(settles_at > std::time::Instant::now() + std::time::Duration::from_secs(60));
    relay.settings(|settings| settings.idle_seconds = 1);
    app.hear_end().await;
    app.finish().await;
    client.hear_end().await;
}
