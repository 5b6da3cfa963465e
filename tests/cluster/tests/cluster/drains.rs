//! One pod leaves: what is finished, what is cut, and in which order.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::Protocol;
use ebb_cluster::client::End;
use ebb_cluster::eventually;
use ebb_cluster::namespace::in_parallel;
use ebb_cluster::pods;
use ebb_cluster::web::HTTP_PORT;
use futures::{SinkExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::fixtures::{status, web};
use crate::leaving::Leaving;
use crate::processes::with_variables;

/// A request of 20 s that is in flight when its pod is deleted completes; and the order is: the
/// last byte is read, the hook is released, the application gets its SIGTERM. An idle keep-alive
/// connection beside it holds nothing.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_request_in_flight_completes_before_the_app_is_told() {
    in_parallel("in-flight", async |namespace| {
        let policy = json!({"timeoutSeconds": 60});
        let leaving = Leaving::of(namespace, policy).idle_client();
        let mut leaving = leaving.request("/slow?seconds=20").ready().await?;

        leaving.delete().await?;
        let answer = leaving.answer(Duration::from_secs(25)).await?;
        let recorder = &leaving.recorder;
        let answered = recorder
            .app_event("request", Duration::from_secs(5))
            .await?;
        let released = recorder
            .line("ebb", "hooks released", Duration::from_secs(5))
            .await?;
        let last_byte = recorder
            .line("ebb", "last in-flight byte read", Duration::from_secs(5))
            .await?;
        let sigterm = recorder
            .app_event("sigterm", Duration::from_secs(10))
            .await?;
        let order = [
            ("the app answered", answered["at"].as_u64().unwrap()),
            ("the last byte was read", last_byte.at),
            ("the hooks were released", released.at),
            ("the app got SIGTERM", sigterm["at"].as_u64().unwrap()),
        ];
        assert!(order.is_sorted_by_key(|(_, at)| *at), "{order:?}");
        assert!(
            answer.at <= order[3].1,
            "the client had its answer after SIGTERM: {answer:?} {order:?}"
        );
        assert_eq!(sigterm["openRequests"], 0);

        let drain = leaving.drain(Duration::from_secs(30)).await?;
        assert_eq!(
            (drain.trigger, drain.outcome),
            (Trigger::Deleted, Outcome::Drained)
        );
        // Kubelet's readiness probes, which go on meanwhile, are among those that finished.
        assert!(drain.finished >= 1, "{drain:?}");
        assert_eq!(drain.cut_in_all(), 0, "{drain:?}");
        assert!((15_000..22_000).contains(&drain.took_ms), "{drain:?}");
        let told = status(namespace, "web", "one drained", |status| {
            status.totals.drained == 1
        })
        .await?;
        assert_eq!(told.recent[0].result, Outcome::Drained);
        Ok(())
    });
}

/// A pod whose only connection is an idle keep-alive one is not held by it: it is gone long before
/// the timeout.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn an_idle_connection_does_not_hold_a_pod() {
    in_parallel("idle", async |namespace| {
        let policy = json!({"timeoutSeconds": 300});
        let mut leaving = Leaving::of(namespace, policy).idle_client().ready().await?;

        leaving.delete().await?;
        let drain = leaving.drain(Duration::from_secs(40)).await?;
        assert_eq!(drain.outcome, Outcome::Drained);
        assert!(drain.took_ms < 20_000, "{drain:?}");
        assert_eq!(drain.cut_in_all(), 0);
        Ok(())
    });
}

/// Kubelet's gRPC probes go on while a pod leaves, each on a connection of its own, and look like a
/// client's calls. They are no traffic: the pod is gone long before maxSeconds, though they are
/// more frequent than quietSeconds is long.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn grpc_probes_do_not_hold_a_pod() {
    in_parallel("grpc-probe", async |namespace| {
        let policy = json!({"deregistration": {"quietSeconds": 3, "maxSeconds": 60}});
        let probe = json!({"httpGet": null, "grpc": {"port": HTTP_PORT}, "periodSeconds": 1});
        let probed = web(namespace, "web")
            .container(json!({"readinessProbe": probe.clone(), "livenessProbe": probe}));
        let leaving = Leaving::of(namespace, policy).app(probed);
        let mut leaving = leaving.request("/slow?seconds=5").ready().await?;

        leaving.delete().await?;
        leaving.answer(Duration::from_secs(10)).await?;
        let drain = leaving.drain(Duration::from_secs(90)).await?;
        assert_eq!(drain.outcome, Outcome::Drained);
        assert!(drain.took_ms < 20_000, "{drain:?}");
        Ok(())
    });
}

/// A WebSocket on a pod that leaves hears Close 1012, its answer reaches the application, and the
/// pod waits no longer.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_web_socket_hears_that_the_pod_goes() {
    in_parallel("web-socket", async |namespace| {
        let policy = json!({"timeoutSeconds": 300});
        let mut leaving = Leaving::of(namespace, policy).ready().await?;
        let address = leaving.address(HTTP_PORT)?;
        let stream = TcpStream::connect(address).await?;
        let (mut socket, _) =
            tokio_tungstenite::client_async(format!("ws://{address}/echo"), stream).await?;
        socket.send(Message::text("ping")).await?;
        let echo = timeout(Duration::from_secs(5), socket.next()).await?;
        assert_eq!(echo.transpose()?, Some(Message::text("ping")));

        leaving.delete().await?;
        let told = timeout(Duration::from_secs(20), socket.next()).await?;
        let Some(Message::Close(Some(frame))) = told.transpose()? else {
            panic!("it ended without a Close");
        };
        assert_eq!(u16::from(frame.code), 1012);
        // Our answer goes out while we read on to the end.
        let end = timeout(Duration::from_secs(5), socket.next()).await?;
        assert!(end.is_none(), "{end:?}");
        let ended = leaving
            .recorder
            .app_event("webSocket", Duration::from_secs(5));
        let ended = ended.await?;
        assert_eq!(ended["code"], 1012, "{ended}");

        let drain = leaving.drain(Duration::from_secs(60)).await?;
        assert_eq!(drain.outcome, Outcome::Drained);
        assert_eq!(drain.cut_in_all(), 0, "{drain:?}");
        assert!(drain.took_ms < 20_000, "{drain:?}");
        Ok(())
    });
}

/// What takes longer than the timeout ends at the timeout: a request without an answer gets 504, an
/// answer that has begun breaks off so that it can't pass for whole. Both are counted, and the
/// outcome is TimedOut with the number.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn what_is_longer_than_the_timeout_is_cut_and_counted() {
    in_parallel("timeout", async |namespace| {
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 6}));
        let leaving = leaving.request("/slow?seconds=60");
        let mut leaving = leaving.request("/stream?seconds=60").ready().await?;

        leaving.delete().await?;
        let [silent, talking] = &mut leaving.clients[..] else {
            panic!("two requests were made");
        };
        let limit = Duration::from_secs(15);
        let refused = silent.read_until("\0never", limit).await?;
        assert!(
            refused.text.starts_with("HTTP/1.1 504 "),
            "{}",
            refused.text
        );
        let head = refused.text.to_ascii_lowercase();
        assert!(head.contains("connection: close"), "{head}");
        assert!(
            !head.contains("retry-after"),
            "a retried POST would run twice: {head}"
        );
        let broken = talking.read_until("\0never", limit).await?;
        assert!(
            broken.text.starts_with("HTTP/1.1 200 OK"),
            "{}",
            broken.text
        );
        assert!(!broken.text.ends_with("0\r\n\r\n"), "it passes for whole");
        assert_ne!(broken.end, End::Mark);

        let drain = leaving.drain(Duration::from_secs(60)).await?;
        assert_eq!(drain.outcome, Outcome::TimedOut);
        assert_eq!(drain.cut.get(&Protocol::Http1), Some(&2), "{drain:?}");
        assert!((5_500..8_000).contains(&drain.took_ms), "{drain:?}");
        let told = status(namespace, "web", "one timed out", |status| {
            status.totals.timed_out == 1
        })
        .await?;
        assert_eq!(told.totals.connections_cut, 2);
        assert_eq!(told.recent[0].result, Outcome::TimedOut);
        assert!(
            told.recent[0].summary.contains("2 requests cut"),
            "{}",
            told.recent[0].summary
        );
        Ok(())
    });
}

/// An app that dies in the middle of a drain takes its client's answer with it. The pod is gone at
/// once, and nobody is told that it drained well: the outcome is Broken, with the number, in the
/// last words, in the status and in a Warning.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn what_the_app_breaks_off_is_told() {
    in_parallel("broken", async |namespace| {
        const MARK: &str = "SAMPLE_MARK";
        let marked = web(namespace, "web").variable(MARK, &namespace.name);
        let leaving = Leaving::of(namespace, json!({"timeoutSeconds": 120})).app(marked);
        let mut leaving = leaving.request("/slow?seconds=100").ready().await?;
        leaving.delete().await?;
        let limit = Duration::from_secs(30);
        eventually("the drain to begin", limit, async || {
            let phase = pods::report(&leaving.pod).await?.phase;
            ensure!(phase != Phase::Serving, "it serves");
            Ok(())
        })
        .await?;
        let app = with_variables(&[(MARK, &namespace.name), ("HOSTNAME", "web")])?;
        kill_process(app.context("the app has no process")?, Signal::KILL)?;
        let lost = leaving.clients[0].read_until("\0never", limit).await?;
        assert!(!lost.text.contains("slow hello"), "{}", lost.text);

        let drain = leaving.drain(Duration::from_secs(60)).await?;
        assert_eq!(drain.outcome, Outcome::Broken);
        assert_eq!(drain.broken.get(&Protocol::Http1), Some(&1), "{drain:?}");
        assert_eq!(drain.cut_in_all(), 0, "{drain:?}");
        let told = status(namespace, "web", "one broken", |status| {
            status.totals.broken == 1
        })
        .await?;
        assert_eq!(told.totals.connections_broken, 1);
        assert_eq!(told.recent[0].result, Outcome::Broken);
        eventually("the Event", limit, async || {
            let events = namespace.kubectl(&["events", "--types=Warning"]).await?;
            ensure!(events.contains("Broken"), "only these are there:\n{events}");
            Ok(())
        })
        .await
    });
}

/// A pod with a grace of 60 s of its own still has its 60 s after a drain has used up its time: an
/// application that takes 50 s to shut down ends by itself.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_pod_keeps_its_own_grace_after_the_drain() {
    in_parallel("grace", async |namespace| {
        let policy = json!({"timeoutSeconds": 10});
        let slow = web(namespace, "web")
            .variable("SAMPLE_SHUTDOWN_SECONDS", "58")
            .pod(json!({"terminationGracePeriodSeconds": 60}));
        let leaving = Leaving::of(namespace, policy).app(slow);
        let mut leaving = leaving.request("/slow?seconds=100").ready().await?;
        let raised = leaving
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        assert_eq!(raised, Some(10 + 60 + 5));
        leaving.delete().await?;
        let recorder = &leaving.recorder;
        let sigterm = recorder
            .app_event("sigterm", Duration::from_secs(30))
            .await?;
        let exit = recorder.app_event("exit", Duration::from_secs(70)).await?;
        let lived = exit["at"].as_u64().unwrap() - sigterm["at"].as_u64().unwrap();
        assert!(lived >= 58_000, "the app had only {lived} ms after SIGTERM");
        let record = leaving.gone(Duration::from_secs(30)).await?;
        let last: Pod = record.pod.expect("it was seen");
        let app = pods::container(&last, "app").and_then(|status| status.state.clone());
        let end = app
            .and_then(|state| state.terminated)
            .expect("the app ended");
        assert_eq!(end.exit_code, 0, "the app was killed: {end:?}");
        Ok(())
    });
}
