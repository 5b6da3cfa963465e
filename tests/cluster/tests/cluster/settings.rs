//! A change of a policy takes effect at once, for drains in progress, too.

use std::time::Duration;

use ebb_api::phase::Outcome;
use ebb_cluster::namespace::in_parallel;
use ebb_cluster::pods::PodRecorder;
use serde_json::json;

use crate::fixtures::{change, delete, in_flight, injected_pod, policy, request_of, web};

/// `enabled: false` lets go at once of a pod that leaves: neither a request in flight nor the
/// lame-duck phase holds it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_disabled_policy_releases_at_once() {
    in_parallel("disabled", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 120})).await?;
        let pod = injected_pod(namespace, &web(namespace, "web")).await?;
        let mut recorder = PodRecorder::of(namespace, "web", &["app", "ebb"]).await?;
        let mut client = request_of(&pod, "/slow?seconds=15").await?;
        in_flight(&pod, 1).await?;
        change(namespace, "web", json!({"enabled": false})).await?;

        delete(namespace, "web").await?;
        let leaving = recorder.until("leaves", Duration::from_secs(10), |record| {
            record.leaving_at.is_some()
        });
        let leaving_at = leaving.await?.leaving_at.unwrap();
        let sigterm = recorder
            .app_event("sigterm", Duration::from_secs(10))
            .await?;
        let after = sigterm["at"].as_u64().unwrap().saturating_sub(leaving_at);
        assert!(
            after < 3_000,
            "the app got SIGTERM only {after} ms after the deletion"
        );
        // Ebb stands aside, it does not get in the way: the app finishes what it has begun.
        let answer = client
            .read_until("slow hello from web\n", Duration::from_secs(20))
            .await?;
        assert!(
            answer.text.starts_with("HTTP/1.1 200 OK"),
            "{}",
            answer.text
        );
        let record = recorder.gone(Duration::from_secs(30)).await?;
        let drain = record
            .final_report()?
            .drain
            .expect("the drain was reported");
        assert_eq!(drain.outcome, Outcome::Skipped);
        Ok(())
    });
}

/// A drain that is under way is let go when its policy is disabled.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn disabling_a_policy_ends_a_drain_under_way() {
    in_parallel("disabling", async |namespace| {
        policy(namespace, "web", json!({"timeoutSeconds": 120})).await?;
        let pod = injected_pod(namespace, &web(namespace, "web")).await?;
        let recorder = PodRecorder::of(namespace, "web", &["app", "ebb"]).await?;
        let _open = request_of(&pod, "/slow?seconds=100").await?;
        in_flight(&pod, 1).await?;
        delete(namespace, "web").await?;
        recorder
            .line("ebb", "the pod is leaving", Duration::from_secs(10))
            .await?;

        change(namespace, "web", json!({"enabled": false})).await?;
        recorder
            .app_event("sigterm", Duration::from_secs(10))
            .await?;
        Ok(())
    });
}

/// A timeout that is raised during a drain lets a request finish that the old one would have cut; a
/// timeout that is lowered cuts at once what is older.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_changed_timeout_takes_effect_during_a_drain() {
    in_parallel("timeout-changed", async |namespace| {
        for (name, seconds) in [("raised", 4), ("lowered", 300)] {
            policy(
                namespace,
                name,
                json!({"timeoutSeconds": seconds, "shutdownSeconds": 5}),
            )
            .await?;
        }
        let raised = injected_pod(namespace, &web(namespace, "raised")).await?;
        let lowered = injected_pod(namespace, &web(namespace, "lowered")).await?;
        let mut raised_recorder = PodRecorder::of(namespace, "raised", &["ebb"]).await?;
        let mut lowered_recorder = PodRecorder::of(namespace, "lowered", &["ebb"]).await?;
        let mut finished = request_of(&raised, "/slow?seconds=12").await?;
        let mut cut = request_of(&lowered, "/slow?seconds=100").await?;
        in_flight(&raised, 1).await?;
        in_flight(&lowered, 1).await?;

        delete(namespace, "raised").await?;
        change(namespace, "raised", json!({"timeoutSeconds": 60})).await?;
        delete(namespace, "lowered").await?;
        lowered_recorder
            .line("ebb", "the pod is leaving", Duration::from_secs(10))
            .await?;
        change(namespace, "lowered", json!({"timeoutSeconds": 2})).await?;

        let answer = cut.read_until("\0never", Duration::from_secs(10)).await?;
        assert!(answer.text.starts_with("HTTP/1.1 504 "), "{}", answer.text);
        let answer = finished
            .read_until("slow hello from raised\n", Duration::from_secs(15))
            .await?;
        assert!(
            answer.text.starts_with("HTTP/1.1 200 OK"),
            "{}",
            answer.text
        );
        let limit = Duration::from_secs(40);
        for (recorder, outcome) in [
            (&mut raised_recorder, Outcome::Drained),
            (&mut lowered_recorder, Outcome::TimedOut),
        ] {
            let drain = recorder
                .gone(limit)
                .await?
                .final_report()?
                .drain
                .expect("a drain");
            assert_eq!(drain.outcome, outcome, "{drain:?}");
        }
        Ok(())
    });
}
