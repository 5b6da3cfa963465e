//! A change of a policy takes effect at once, for drains in progress, too.

use std::time::Duration;

use anyhow::ensure;
use ebb_api::phase::Outcome;
use ebb_api::report::Protocol;
use ebb_cluster::eventually;
use ebb_cluster::namespace::in_parallel;
use serde_json::json;

use crate::fixtures::{SOON, change, in_flight, status, web};
use crate::leaving::Leaving;

/// `enabled: false` lets go at once of a pod that leaves: neither a request in flight nor the
/// lame-duck phase holds it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_disabled_policy_releases_at_once() {
    in_parallel("disabled", async |namespace| {
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 120}));
        let mut leaving = leaving.request("/slow?seconds=15").ready().await?;
        change(namespace, "web", json!({"enabled": false})).await?;

        leaving.delete().await?;
        let recorder = &mut leaving.recorder;
        let seen = recorder.until("leaves", Duration::from_secs(10), |record| {
            record.leaving_at.is_some()
        });
        let leaving_at = seen.await?.leaving_at.unwrap();
        let sigterm = recorder
            .app_event("sigterm", Duration::from_secs(10))
            .await?;
        let after = sigterm["at"].as_u64().unwrap().saturating_sub(leaving_at);
        assert!(
            after < 3_000,
            "the app got SIGTERM only {after} ms after the deletion"
        );
        // Ebb stands aside, it does not get in the way: the app finishes what it has begun.
        leaving.answer(Duration::from_secs(20)).await?;
        let drain = leaving.drain(Duration::from_secs(30)).await?;
        assert_eq!(drain.outcome, Outcome::Skipped);
        Ok(())
    });
}

/// A drain that is under way is let go when its policy is disabled. What the app does to a request
/// that was in flight then is as without Ebb, and told: the outcome is Skipped, with the number, in
/// the last words, in the status and in a Warning. What a client has given up before is apart.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn disabling_a_policy_ends_a_drain_under_way() {
    in_parallel("disabling", async |namespace| {
        let abrupt = web(namespace, "web").variable("SAMPLE_AT_SIGTERM", "abrupt");
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 120})).app(abrupt);
        let leaving = leaving.request("/slow?seconds=100");
        let mut leaving = leaving.request("/slow?seconds=100").ready().await?;
        leaving.delete().await?;
        let limit = Duration::from_secs(10);
        let recorder = &leaving.recorder;
        recorder.line("ebb", "the pod is leaving", limit).await?;
        drop(leaving.clients.pop());
        in_flight(&leaving.pod, 1).await?;

        change(namespace, "web", json!({"enabled": false})).await?;
        recorder.app_event("sigterm", limit).await?;
        let lost = leaving.clients[0].read_until("\0never", limit).await?;
        assert!(!lost.text.contains("slow hello"), "{}", lost.text);
        let drain = leaving.drain(Duration::from_secs(30)).await?;
        assert_eq!(drain.outcome, Outcome::Skipped);
        assert_eq!(drain.abandoned, [(Protocol::Http1, 1)].into(), "{drain:?}");
        assert_eq!((drain.given_up, drain.broken_in_all()), (1, 0), "{drain:?}");
        let told = status(namespace, "web", "one skipped", |status| {
            status.totals.skipped == 1
        })
        .await?;
        assert_eq!(told.totals.connections_abandoned, 1, "{told:?}");
        assert_eq!(told.recent[0].result, Outcome::Skipped);
        eventually("the Event", SOON, async || {
            let events = namespace.kubectl(&["events", "--types=Warning"]).await?;
            let told = "1 request in flight when the policy was disabled";
            ensure!(events.contains(told), "only these are there:\n{events}");
            Ok(())
        })
        .await
    });
}

/// A timeout that is raised during a drain lets a request finish that the old one would have cut; a
/// timeout that is lowered cuts at once what is older.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_changed_timeout_takes_effect_during_a_drain() {
    in_parallel("timeout-changed", async |namespace| {
        let of = |name, seconds| {
            let policy = json!({"timeoutSeconds": seconds, "shutdownSeconds": 5});
            Leaving::of(namespace, policy).app(web(namespace, name))
        };
        let raised = of("raised", 4).request("/slow?seconds=12");
        let lowered = of("lowered", 300).request("/slow?seconds=100");
        let mut raised = raised.ready().await?;
        let mut lowered = lowered.ready().await?;

        raised.delete().await?;
        change(namespace, "raised", json!({"timeoutSeconds": 60})).await?;
        lowered.delete().await?;
        lowered
            .recorder
            .line("ebb", "the pod is leaving", Duration::from_secs(10))
            .await?;
        change(namespace, "lowered", json!({"timeoutSeconds": 2})).await?;

        let cut = &mut lowered.clients[0];
        let answer = cut.read_until("\0never", Duration::from_secs(10)).await?;
        assert!(answer.text.starts_with("HTTP/1.1 504 "), "{}", answer.text);
        raised.answer(Duration::from_secs(15)).await?;
        let limit = Duration::from_secs(40);
        for (leaving, outcome) in [
            (&mut raised, Outcome::Drained),
            (&mut lowered, Outcome::TimedOut),
        ] {
            let drain = leaving.drain(limit).await?;
            assert_eq!(drain.outcome, outcome, "{drain:?}");
        }
        Ok(())
    });
}
