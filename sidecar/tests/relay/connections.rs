//! What the policy says about connections, seen by clients and apps.

use crate::bed::{Bed, End, GET, LAST, OK, within};
use ebb_api::connections::AtTimeout;
use ebb_api::report::Protocol::{Http1, Opaque};
use ebb_sidecar::stance::{Pace, Stance};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An opaque connection whose client waits for an answer.
async fn asked(bed: &Bed) -> (End, End) {
    let (mut client, mut app) = bed.connect().await;
    client.say("\x16question").await;
    app.hear("\x16question").await;
    (client, app)
}

/// The same, answered.
async fn answered(bed: &Bed) -> (End, End) {
    let (mut client, mut app) = asked(bed).await;
    app.say("answer").await;
    client.hear("answer").await;
    (client, app)
}

/// Goodbyes are spread: each connection has its own at its own moment, none before it; HTTP/1 has
/// its with the next answer all the same.
#[tokio::test]
async fn goodbyes_are_spread() {
    const LENGTH: Duration = Duration::from_secs(2);
    let bed = Bed::new().await;
    let (mut http1, mut http1_app) = bed.connect().await;
    http1.say(GET).await;
    http1_app.hear(GET).await;
    let mut pairs = Vec::new();
    for _ in 0..8 {
        pairs.push(answered(&bed).await);
    }
    bed.until("all to be idle", |now| !now.in_flight.contains_key(&Opaque))
        .await;
    assert_eq!(bed.snapshot().untold, 8);
    let from = Instant::now();
    bed.pace(Some(Pace {
        from,
        length: LENGTH,
    }));
    bed.stance(Stance::Parting);
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
    bed.until("all to be told", |now| now.untold == 0).await;
}

/// Without a pace any more, those whose moment is far away are told at once.
#[tokio::test]
async fn a_pace_that_is_taken_away_counts_at_once() {
    let bed = Bed::new().await;
    let (_first, _first_app) = answered(&bed).await;
    let (_second, mut app) = answered(&bed).await;
    bed.pace(Some(Pace {
        from: Instant::now(),
        length: Duration::from_secs(3600),
    }));
    bed.stance(Stance::Parting);
    bed.until("the first to be told", |now| now.untold == 1)
        .await;
    app.hear_nothing(&bed).await;
    bed.pace(None);
    app.hear_end().await;
}

/// At the timeout both sides of a busy opaque connection see a reset where the policy asks for it;
/// one at rest is closed.
#[tokio::test]
async fn the_timeout_may_reset() {
    let bed = Bed::new().await;
    bed.settings(|settings| settings.at_timeout = AtTimeout::Reset);
    let (mut busy, mut busy_app) = asked(&bed).await;
    let (mut greeted, mut greeting_app) = bed.connect().await;
    greeting_app.say("220 mail\r\n").await;
    greeted.hear("220 mail\r\n").await;
    bed.stance(Stance::Cut);
    busy.hear_reset().await;
    busy_app.hear_reset().await;
    greeted.hear_end().await;
    assert_eq!(bed.snapshot().cut[&Opaque], 1);
}

/// Bytes that are handed over flow on behind the timeout, through the app's own goodbye to the end;
/// nothing of that is cut, and a request beside it is.
#[tokio::test]
async fn the_timeout_may_hand_over() {
    let bed = Bed::new().await;
    bed.settings(|settings| settings.at_timeout = AtTimeout::Handover);
    let (mut client, mut app) = asked(&bed).await;
    let (mut request, mut request_app) = bed.connect().await;
    request.say(GET).await;
    request_app.hear(GET).await;
    bed.stance(Stance::Cut);
    bed.until("the request to be cut", |now| now.cut.contains_key(&Http1))
        .await;
    app.say("half an ").await;
    client.hear("half an ").await;
    client.say("more").await;
    app.hear("more").await;
    assert_eq!(bed.in_flight(Opaque), 1);
    app.say("answer, goodbye").await;
    app.finish().await;
    client.hear("answer, goodbye").await;
    client.hear_end().await;
    drop((client, request));
    bed.until("all to end", |now| now.connections.is_empty())
        .await;
    let snapshot = bed.snapshot();
    assert!(!snapshot.cut.contains_key(&Opaque));
    assert_eq!(snapshot.finished, 1);
}

/// What was handed over and falls silent gets the goodbye of idle connections, so that it does not
/// hold the process.
#[tokio::test]
async fn what_is_handed_over_does_not_stay_for_ever() {
    let bed = Bed::new().await;
    bed.settings(|settings| settings.at_timeout = AtTimeout::Handover);
    let (mut client, mut app) = asked(&bed).await;
    bed.stance(Stance::Cut);
    app.say("answer").await;
    client.hear("answer").await;
    app.hear_end().await;
    client.hear_end().await;
    drop(client);
    bed.until("it to end", |now| now.connections.is_empty())
        .await;
    assert!(bed.snapshot().cut.is_empty());
}

/// A policy that does not hand over any more has it cut, behind the timeout too.
#[tokio::test]
async fn a_hand_over_can_be_taken_back() {
    let bed = Bed::new().await;
    bed.settings(|settings| settings.at_timeout = AtTimeout::Handover);
    let (mut client, mut app) = asked(&bed).await;
    bed.stance(Stance::Cut);
    app.say("half").await;
    client.hear("half").await;
    bed.settings(|settings| settings.at_timeout = AtTimeout::Close);
    within("the end", client.hear_end()).await;
    assert_eq!(bed.snapshot().cut[&Opaque], 1);
}
