//! A change of a policy takes effect at once, for drains in progress, too.

use std::time::Duration;

use ebb_api::phase::Outcome;
use ebb_tests::harness::ground::beside_others;
use ebb_tests::harness::pods::Witness;
use serde_json::json;

use crate::scene::{change, delete, in_flight, injected_pod, policy, request_of, web};

/// `enabled: false` lets go at once of a pod that leaves: neither a request in flight nor the
/// lame-duck phase holds it.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_disabled_policy_releases_at_once() {
    beside_others("disabled", async |ground| {
        policy(ground, "web", json!({"timeoutSeconds": 120})).await?;
        let pod = injected_pod(ground, &web(ground, "web")).await?;
        let mut witness = Witness::of(ground, "web", &["app", "ebb"]).await?;
        let mut client = request_of(&pod, "/slow?seconds=15").await?;
        in_flight(&pod, 1).await?;
        change(ground, "web", json!({"enabled": false})).await?;

        delete(ground, "web").await?;
        let leaving = witness.until("leaves", Duration::from_secs(10), |sight| {
            sight.leaving_at.is_some()
        });
        let leaving_at = leaving.await?.leaving_at.unwrap();
        let sigterm = witness
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
        let sight = witness.gone(Duration::from_secs(30)).await?;
        let drain = sight.final_report()?.drain.expect("the drain was reported");
        assert_eq!(drain.outcome, Outcome::Skipped);
        Ok(())
    });
}

/// A drain that is under way is let go when its policy is disabled.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn disabling_a_policy_ends_a_drain_under_way() {
    beside_others("disabling", async |ground| {
        policy(ground, "web", json!({"timeoutSeconds": 120})).await?;
        let pod = injected_pod(ground, &web(ground, "web")).await?;
        let witness = Witness::of(ground, "web", &["app", "ebb"]).await?;
        let _open = request_of(&pod, "/slow?seconds=100").await?;
        in_flight(&pod, 1).await?;
        delete(ground, "web").await?;
        witness
            .line("ebb", "the pod is leaving", Duration::from_secs(10))
            .await?;

        change(ground, "web", json!({"enabled": false})).await?;
        witness
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
    beside_others("timeout-changed", async |ground| {
        for (name, seconds) in [("raised", 4), ("lowered", 300)] {
            policy(
                ground,
                name,
                json!({"timeoutSeconds": seconds, "shutdownSeconds": 5}),
            )
            .await?;
        }
        let raised = injected_pod(ground, &web(ground, "raised")).await?;
        let lowered = injected_pod(ground, &web(ground, "lowered")).await?;
        let mut raised_witness = Witness::of(ground, "raised", &["ebb"]).await?;
        let mut lowered_witness = Witness::of(ground, "lowered", &["ebb"]).await?;
        let mut finished = request_of(&raised, "/slow?seconds=12").await?;
        let mut cut = request_of(&lowered, "/slow?seconds=100").await?;
        in_flight(&raised, 1).await?;
        in_flight(&lowered, 1).await?;

        delete(ground, "raised").await?;
        change(ground, "raised", json!({"timeoutSeconds": 60})).await?;
        delete(ground, "lowered").await?;
        lowered_witness
            .line("ebb", "the pod is leaving", Duration::from_secs(10))
            .await?;
        change(ground, "lowered", json!({"timeoutSeconds": 2})).await?;

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
        for (witness, outcome) in [
            (&mut raised_witness, Outcome::Drained),
            (&mut lowered_witness, Outcome::TimedOut),
        ] {
            let drain = witness
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
