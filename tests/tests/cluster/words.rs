//! What a person reads: `kubectl describe drainpolicy`, `kubectl get dp`, Events. Names, times and
//! durations are masked; every other word is compared.

use std::time::Duration;

use anyhow::{Result, ensure};
use ebb_tests::eventually::eventually;
use ebb_tests::harness::ground::{Ground, beside_others};
use ebb_tests::harness::pods::Witness;
use ebb_tests::harness::web::Web;
use serde_json::json;

use crate::scene::{
    SOON, delete, in_flight, injected_pod, policy, protected, request_of, status, web,
};

/// A drain as `kubectl` tells it: the policy at rest, during the drain of a pod with a request in
/// flight, and after it; then a drain that timed out, and the Events of all.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_drain_reads_well() {
    beside_others("words", async |ground| {
        policy(ground, "web", json!({"timeoutSeconds": 60})).await?;
        let pod = injected_pod(ground, &unprobed(ground, "web")).await?;
        let mut witness = Witness::of(ground, "web", &[]).await?;
        protected(ground, "web", "AllProtected").await?;
        status(ground, "web", "one serves", |status| {
            status.targets.serving == 1
        })
        .await?;
        insta::assert_snapshot!("describe_at_rest", described(ground, "web").await?);

        let mut client = request_of(&pod, "/slow?seconds=9").await?;
        in_flight(&pod, 1).await?;
        delete(ground, "web").await?;
        status(ground, "web", "it drains", |status| {
            status
                .active
                .iter()
                .any(|active| active.progress.starts_with("Draining"))
        })
        .await?;
        insta::assert_snapshot!("describe_during_a_drain", described(ground, "web").await?);
        insta::assert_snapshot!("get_during_a_drain", got(ground, &["get", "dp"]).await?);

        client
            .read_until("slow hello from web\n", Duration::from_secs(15))
            .await?;
        witness.gone(Duration::from_secs(30)).await?;
        status(ground, "web", "it drained", |status| {
            status.totals.drained == 1 && status.targets.leaving == 0
        })
        .await?;
        event(ground, "web drained").await?;
        insta::assert_snapshot!("describe_after_a_drain", described(ground, "web").await?);

        policy(
            ground,
            "brief",
            json!({"timeoutSeconds": 4, "shutdownSeconds": 2}),
        )
        .await?;
        let pod = injected_pod(ground, &unprobed(ground, "brief")).await?;
        let mut witness = Witness::of(ground, "brief", &[]).await?;
        let _cut = request_of(&pod, "/slow?seconds=60").await?;
        in_flight(&pod, 1).await?;
        delete(ground, "brief").await?;
        witness.gone(Duration::from_secs(40)).await?;
        status(ground, "brief", "it timed out", |status| {
            status.totals.timed_out == 1 && status.targets.leaving == 0
        })
        .await?;
        event(ground, "brief: ").await?;
        insta::assert_snapshot!(
            "describe_after_a_timeout",
            described(ground, "brief").await?
        );
        insta::assert_snapshot!("get_wide", got(ground, &["get", "dp", "-o", "wide"]).await?);
        insta::assert_snapshot!("events", events(ground).await?);
        Ok(())
    });
}

/// The sample application without a probe, whose requests would be among those that are counted.
fn unprobed(ground: &Ground, name: &str) -> Web {
    web(ground, name).container(json!({"readinessProbe": null}))
}

async fn described(ground: &Ground, name: &str) -> Result<String> {
    Ok(masked(
        &ground.kubectl(&["describe", "drainpolicy", name]).await?,
        &ground.namespace,
    ))
}

async fn got(ground: &Ground, arguments: &[&str]) -> Result<String> {
    Ok(masked(&ground.kubectl(arguments).await?, &ground.namespace))
}

/// Ebb's own Events, sorted, since two of one second have no order of their own.
async fn events(ground: &Ground) -> Result<String> {
    let columns = "custom-columns=A:.regarding.kind,B:.regarding.name,C:.type,D:.reason,E:.note,F:.reportingController";
    let all = ground
        .kubectl(&["get", "events.events.k8s.io", "--no-headers", "-o", columns])
        .await?;
    let mut ours: Vec<&str> = all
        .lines()
        .filter(|line| line.ends_with("ebb-controller"))
        .collect();
    ours.sort_unstable();
    Ok(masked(&ours.join("\n"), &ground.namespace))
}

/// Waits for an Event of Ebb that contains `part`: Events of a window are told together.
async fn event(ground: &Ground, part: &str) -> Result<()> {
    eventually(&format!("an Event with {part:?}"), SOON, async || {
        let events = events(ground).await?;
        ensure!(events.contains(part), "{events}");
        Ok(())
    })
    .await
}

/// The text with what differs from run to run masked: the namespace, times, durations, UIDs and
/// versions; and the runs of spaces that align columns made even.
fn masked(text: &str, namespace: &str) -> String {
    let text = text.replace(namespace, "NAMESPACE");
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let words = line.split_whitespace().map(masked_word);
        let columns = words.collect::<Vec<_>>().join(" ");
        let columns = match columns.split_once(": ") {
            Some((key @ ("UID" | "Resource Version"), _)) => format!("{key}: MASKED"),
            _ => columns,
        };
        lines.push(format!("{:indent$}{columns}", ""));
    }
    lines.join("\n")
}

/// A word that is a time or a duration, with its punctuation kept.
fn masked_word(word: &str) -> String {
    let inner = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_time = inner.len() > 18 && inner.ends_with('Z') && inner.as_bytes()[4] == b'-';
    let is_duration = inner.starts_with(|c: char| c.is_ascii_digit())
        && inner.ends_with(['s', 'm', 'h'])
        && inner
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'm' | 's' | 'h'));
    match (is_time, is_duration) {
        (true, _) => word.replace(inner, "TIME"),
        (_, true) => word.replace(inner, "DURATION"),
        _ => word.to_owned(),
    }
}

/// The mask hides what differs from run to run, and nothing else.
#[test]
fn the_mask_hides_times_and_nothing_else() {
    let text = "Name:   web\n  UID:  1-2-3\n  Since:  2026-01-02T03:04:05Z\n  \
                Progress:  Draining for 1m2s: 3 requests in flight (oldest 14.5s); cut in 4m\n";
    let expected = "Name: web\n  UID: MASKED\n  Since: TIME\n  \
                    Progress: Draining for DURATION: 3 requests in flight (oldest DURATION); cut in DURATION";
    assert_eq!(masked(text, "words-abc"), expected);
}
