//! What the policy says about connections, seen by clients and apps.

use crate::harness::{End, GET, LAST, OK, TestRelay, within};
use ebb_api::connections::AtTimeout;
use ebb_api::report::Protocol::{Http1, Opaque};
use ebb_sidecar::stance::{Pace, Stance};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An opaque connection whose client waits for an answer.
async fn asked(relay: &TestRelay) -> (End, End) {
    let (mut client, mut app) = relay.connect().await;
    client.say("\x16question").await;
    app.hear("\x16question").await;
    (client, app)
}

/// The same, answered.
async fn answered(relay: &TestRelay) -> (End, End) {
    let (mut client, mut app) = asked(relay).await;
    app.say("answer").await;
    client.hear("answer").await;
    (client, app)
}

/// Goodbyes are spread: each connection has its own at its own moment, none before it; HTTP/1 has
/// its with the next answer all the same.
#[tokio::test]
async fn goodbyes_are_spread() {
    const LENGTH: Duration = Duration::from_secs(2);
    let relay = TestRelay::new().await;
    let (mut http1, mut http1_app) = relay.connect().await;
    http1.say(GET).await;
    http1_app.hear(GET).await;
    let mut pairs = Vec::new();
    for _ in 0..8 {
        pairs.push(answered(&relay).await);
    }
    relay
        .until("all to be idle", |now| !now.in_flight.contains_key(&Opaque))
        .await;
    assert_eq!(relay.snapshot().untold, 8);
    let from = Instant::now();
    relay.pace(Some(Pace {
        from,
        length: LENGTH,
    }));
    relay.stance(Stance::Parting);
    http1_app.say(OK).await;
    http1.hear(LAST).await;
    let mut told = JoinSet::new();
    for (client, mut app) in pairs {
        told.spawn(async move {
            app.hear_end().await;
            let told = from.elapsed();
            drop(client);
            told
        });
    }
    let mut moments = told.join_all().await;
    moments.sort();
    // Each eighth of the time would have one of an endless row; of any eight in a row none is more
    // than two eighths late. Only earliness is asserted: a slow machine may be late.
    for (index, moment) in moments.iter().enumerate() {
        let least = LENGTH * u32::try_from(index).unwrap() / 8;
        assert!(
            *moment + LENGTH / 4 >= least,
            "number {index} was told after {moment:?}: {moments:?}"
        );
    }
    relay.until("all to be told", |now| now.untold == 0).await;
}

/// Without a pace any more, those whose moment is far away are told at once.
#[tokio::test]
async fn a_pace_that_is_taken_away_counts_at_once() {
    let relay = TestRelay::new().await;
    let (_first, _first_app) = answered(&relay).await;
    let (_second, mut app) = answered(&relay).await;
    relay.pace(Some(Pace {
        from: Instant::now(),
        length: Duration::from_secs(3600),
    }));
    relay.stance(Stance::Parting);
    relay
        .until("the first to be told", |now| now.untold == 1)
        .await;
    app.hear_nothing(&relay).await;
    relay.pace(None);
    app.hear_end().await;
}

/// At the timeout both sides of a busy opaque connection see a reset where the policy asks for it;
/// one at rest is closed.
#[tokio::test]
async fn the_timeout_may_reset() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.at_timeout = AtTimeout::Reset);
    let (mut busy, mut busy_app) = asked(&relay).await;
    let (mut greeted, mut greeting_app) = relay.connect().await;
    greeting_app.say("220 mail\r\n").await;
    greeted.hear("220 mail\r\n").await;
    relay.stance(Stance::Cut);
    busy.hear_reset().await;
    busy_app.hear_reset().await;
    greeted.hear_end().await;
    assert_eq!(relay.snapshot().cut[&Opaque], 1);
}

/// Bytes that are handed over flow on after the timeout, through the app's own goodbye to the end;
/// nothing of that is cut, and a request beside it is.
#[tokio::test]
async fn the_timeout_may_hand_over() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.at_timeout = AtTimeout::Handover);
    let (mut client, mut app) = asked(&relay).await;
    let (mut request, mut request_app) = relay.connect().await;
    request.say(GET).await;
    request_app.hear(GET).await;
    relay.stance(Stance::Cut);
    relay
        .until("the request to be cut", |now| now.cut.contains_key(&Http1))
        .await;
    app.say("half an ").await;
    client.hear("half an ").await;
    client.say("more").await;
    app.hear("more").await;
    assert_eq!(relay.in_flight(Opaque), 1);
    app.say("answer, goodbye").await;
    app.finish().await;
    client.hear("answer, goodbye").await;
    client.hear_end().await;
    drop((client, request));
    relay
        .until("all to end", |now| now.connections.is_empty())
        .await;
    let snapshot = relay.snapshot();
    assert!(!snapshot.cut.contains_key(&Opaque));
    assert_eq!(snapshot.finished, 1);
}

/// What was handed over and falls silent gets the goodbye of idle connections, so that it does not
/// hold the process.
#[tokio::test]
async fn what_is_handed_over_does_not_stay_for_ever() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.at_timeout = AtTimeout::Handover);
    let (mut client, mut app) = asked(&relay).await;
    relay.stance(Stance::Cut);
    app.say("answer").await;
    client.hear("answer").await;
    app.hear_end().await;
    client.hear_end().await;
    drop(client);
    relay
        .until("it to end", |now| now.connections.is_empty())
        .await;
    assert!(relay.snapshot().cut.is_empty());
}

/// A policy that does not hand over any more has it cut, after the timeout too.
#[tokio::test]
async fn a_hand_over_can_be_taken_back() {
    let relay = TestRelay::new().await;
    relay.settings(|settings| settings.at_timeout = AtTimeout::Handover);
    let (mut client, mut app) = asked(&relay).await;
    relay.stance(Stance::Cut);
    app.say("half").await;
    client.hear("half").await;
    relay.settings(|settings| settings.at_timeout = AtTimeout::Close);
    within("the end", client.hear_end()).await;
    assert_eq!(relay.snapshot().cut[&Opaque], 1);
}
