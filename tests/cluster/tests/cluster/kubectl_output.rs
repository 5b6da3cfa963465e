//! What a person reads: `kubectl describe drainpolicy`, `kubectl get dp`, Events. Names, times and
//! durations are masked; every other word is compared.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};

use ebb_cluster::web::Web;
use serde_json::json;

use crate::fixtures::{SOON, protected, status, web};
use crate::leaving::Leaving;

/// A drain as `kubectl` tells it: the policy at rest, during the drain of a pod with a request in
/// flight, and after it; then a drain that timed out, and the Events of all.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_drain_reads_well() {
    in_parallel("words", async |namespace| {
        // What is shown of a policy without a capture mode, whatever is asked of others.
        let usual = json!({"timeoutSeconds": 60, "capture": null});
        let leaving = Leaving::of(namespace, usual).app(unprobed(namespace, "web"));
        let mut leaving = leaving.ready().await?;
        protected(namespace, "web", "AllProtected").await?;
        status(namespace, "web", "one serves", |status| {
            status.targets.serving == 1
        })
        .await?;
        insta::assert_snapshot!("describe_at_rest", described(namespace, "web").await?);

        leaving.request("/slow?seconds=9").await?;
        leaving.delete().await?;
        status(namespace, "web", "it drains", |status| {
            status
                .active
                .iter()
                .any(|active| active.progress.starts_with("Draining"))
        })
        .await?;
        insta::assert_snapshot!(
            "describe_during_a_drain",
            described(namespace, "web").await?
        );
        insta::assert_snapshot!("get_during_a_drain", got(namespace, &["get", "dp"]).await?);

        leaving.answer(Duration::from_secs(15)).await?;
        leaving.gone(Duration::from_secs(30)).await?;
        status(namespace, "web", "it drained", |status| {
            status.totals.drained == 1 && status.targets.leaving == 0
        })
        .await?;
        event(namespace, "web drained").await?;
        insta::assert_snapshot!("describe_after_a_drain", described(namespace, "web").await?);

        let brief = json!({"timeoutSeconds": 4, "shutdownSeconds": 2, "capture": null});
        let brief = Leaving::of(namespace, brief).app(unprobed(namespace, "brief"));
        let mut brief = brief.request("/slow?seconds=60").ready().await?;
        brief.delete().await?;
        brief.gone(Duration::from_secs(40)).await?;
        status(namespace, "brief", "it timed out", |status| {
            status.totals.timed_out == 1 && status.targets.leaving == 0
        })
        .await?;
        event(namespace, "brief: ").await?;
        insta::assert_snapshot!(
            "describe_after_a_timeout",
            described(namespace, "brief").await?
        );
        insta::assert_snapshot!(
            "get_wide",
            got(namespace, &["get", "dp", "-o", "wide"]).await?
        );
        insta::assert_snapshot!("events", events(namespace).await?);
        Ok(())
    });
}

/// The sample application without a probe, whose requests would be among those that are counted.
fn unprobed(namespace: &TestNamespace, name: &str) -> Web {
    web(namespace, name).container(json!({"readinessProbe": null}))
}

async fn described(namespace: &TestNamespace, name: &str) -> Result<String> {
    Ok(masked(
        &namespace
            .kubectl(&["describe", "drainpolicy", name])
            .await?,
        &namespace.name,
    ))
}

async fn got(namespace: &TestNamespace, arguments: &[&str]) -> Result<String> {
    Ok(masked(
        &namespace.kubectl(arguments).await?,
        &namespace.name,
    ))
}

/// Ebb's own Events, sorted, since two of one second have no order of their own.
async fn events(namespace: &TestNamespace) -> Result<String> {
    let columns = "custom-columns=A:.regarding.kind,B:.regarding.name,C:.type,D:.reason,E:.note,F:.reportingController";
    let all = namespace
        .kubectl(&["get", "events.events.k8s.io", "--no-headers", "-o", columns])
        .await?;
    let mut ours: Vec<&str> = all
        .lines()
        .filter(|line| line.ends_with("ebb-controller"))
        .collect();
    ours.sort_unstable();
    Ok(masked(&ours.join("\n"), &namespace.name))
}

/// Waits for an Event of Ebb that contains `part`: Events of a window are told together.
async fn event(namespace: &TestNamespace, part: &str) -> Result<()> {
    eventually(&format!("an Event with {part:?}"), SOON, async || {
        let events = events(namespace).await?;
        ensure!(events.contains(part), "{events}");
        Ok(())
    })
    .await
}

/// The text with what differs from run to run masked: the namespace, times, durations, addresses of
/// clients, UIDs and versions; and the runs of spaces that align columns made even.
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
        lines.push(format!("{:indent$}{}", "", masked_parts(&columns)));
    }
    lines.join("\n")
}

/// What the time of a drain went to, masked: a part that took no time worth a word is not told.
fn masked_parts(line: &str) -> String {
    const START: &str = "; waited ";
    let Some((before, told)) = line.split_once(START) else {
        return line.to_owned();
    };
    let ends = ["; held by ", " ebb-controller"].map(|end| told.find(end));
    let end = ends.into_iter().flatten().min().unwrap_or(told.len());
    format!("{before}{START}PARTS{}", &told[end..])
}

/// A word that is a time, a duration or an address with its port, with its punctuation kept.
fn masked_word(word: &str) -> String {
    let inner = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_time = inner.len() > 18 && inner.ends_with('Z') && inner.as_bytes()[4] == b'-';
    let is_duration = inner.starts_with(|c: char| c.is_ascii_digit())
        && inner.ends_with(['s', 'm', 'h'])
        && inner
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'm' | 's' | 'h'));
    if word.parse::<SocketAddr>().is_ok() {
        return "CLIENT".to_owned();
    }
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
    let text = "Summary:  5.0s: 1 request finished; waited 0.3s for the endpoints and 4.7s for quiet; \
                held by 198.18.0.1:40000 to port 8080 (request for 5s, 9 B in)";
    let expected = "Summary: DURATION: 1 request finished; waited PARTS; \
                    held by CLIENT to port 8080 (request for DURATION, 9 B in)";
    assert_eq!(masked(text, "words-abc"), expected);
    assert_eq!(
        masked(
            "5.0s: none; waited 5.0s for quiet ebb-controller",
            "words-abc"
        ),
        "DURATION: none; waited PARTS ebb-controller"
    );
}
