//! Whole drains over real connections.

use crate::app::{App, BIG};
use crate::running::{Sidecar, quick, within};
use ebb_api::desired::Endpoints;
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::{Protocol, WaitsFor};
use ebb_api::settings::Settings;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The hooks alone drain a pod: a request in flight is waited for, new connections are refused
/// meanwhile, and the hooks return with its last byte.
#[tokio::test]
async fn hooks_wait_for_the_request_in_flight() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let mut client = sidecar.in_flight("/slow").await;
    let mut hooks = sidecar.call_hooks();
    let report = sidecar
        .until("draining", |report| report.phase == Phase::Draining)
        .await;
    assert_eq!(report.now.in_flight.get(&Protocol::Http1), Some(&1));
    assert_eq!(sidecar.get("/readyz").await.status, 503);
    let refused = TcpStream::connect(sidecar.relay).await;
    assert!(refused.is_err(), "the listener is closed");
    assert!(
        hooks.try_join_next().is_none(),
        "held while the request is in flight"
    );

    let answered = Instant::now();
    sidecar.app.answer.notify_waiters();
    assert_eq!(client.join_next().await.unwrap().unwrap().body, "hello");
    for answer in hooks.join_all().await {
        assert_eq!(answer.status, 200);
    }
    // Generous by a factor of 100: this is about order and not about speed.
    assert!(
        answered.elapsed() < Duration::from_secs(1),
        "released with the last byte"
    );
    let last = sidecar.report().await.last.unwrap();
    assert_eq!((last.outcome, last.finished), (Outcome::Drained, 1));
    let report = sidecar.end().await;
    assert_eq!(report.policy.as_deref(), Some("web"));
    assert_eq!(report.drain.unwrap().outcome, Outcome::Drained);
}

/// With a controller nobody is refused before the endpoints are gone.
#[tokio::test]
async fn the_controller_s_word_leads() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let present = sidecar.desired(true, Endpoints::Present).await;
    assert_eq!(sidecar.put(&present).await.status, 200);
    let hooks = sidecar.call_hooks();
    assert_eq!(sidecar.request("/now").await.body, "hello");
    let gone = sidecar.desired(true, Endpoints::NotServing).await;
    assert_eq!(sidecar.put(&gone).await.status, 200);
    hooks.join_all().await;
    let report = sidecar.end().await;
    let drain = report.drain.unwrap();
    assert_eq!(
        (drain.outcome, drain.trigger),
        (Outcome::Drained, Trigger::Deleted)
    );
    assert!(drain.endpoints_gone_ms.is_some());
}

/// One gRPC probe of kubelet in each period is no traffic: the app hangs on it, and neither the
/// lame-duck phase nor the drain waits. What comes beyond that is waited for.
#[tokio::test]
async fn a_probe_holds_nothing() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let hooks = sidecar.leave().await;
    let ask = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
        \0\0\x04\x01\x05\0\0\0\x01head";
    let mut probe = TcpStream::connect(sidecar.relay).await.unwrap();
    probe.write_all(ask).await.unwrap();
    assert_eq!(sidecar.reached().await, "*");
    let mut client = TcpStream::connect(sidecar.relay).await.unwrap();
    client.write_all(ask).await.unwrap();
    assert_eq!(sidecar.reached().await, "*");
    let report = sidecar
        .until("draining", |report| report.phase == Phase::Draining)
        .await;
    assert_eq!(report.now.connections[&Protocol::Http2], 2);
    assert_eq!(report.now.in_flight[&Protocol::Http2], 1);
    let give_up = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
    client.write_all(give_up).await.unwrap();
    within("the hooks", hooks.join_all()).await;
    let drain = sidecar.end().await.drain.unwrap();
    assert_eq!((drain.outcome, drain.late), (Outcome::Drained, 1));
}

/// A request that is longer than the timeout is cut at the timeout and counted; kubelet gets its
/// answer then.
#[tokio::test]
async fn the_timeout_ends_a_drain() {
    let mut sidecar = Sidecar::start(quick(2)).await;
    let mut client = sidecar.in_flight("/never").await;
    sidecar.call_hooks().join_all().await;
    assert_eq!(client.join_next().await.unwrap().unwrap().status, 504);
    let drain = sidecar.end().await.drain.unwrap();
    assert_eq!(drain.outcome, Outcome::TimedOut);
    assert_eq!(drain.cut_in_all(), 1);
    assert!(drain.took_ms >= 2000, "not before its time: {drain:?}");
}

/// An app that ends by itself loses its clients' answers: the drain that is going on says so at
/// once, and when it ends it is not one that drained.
#[tokio::test]
async fn an_app_that_ends_breaks_the_drain() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let mut client = TcpStream::connect(sidecar.relay).await.unwrap();
    let request = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    client.write_all(request).await.unwrap();
    assert_eq!(sidecar.reached().await, "/slow");
    let hooks = sidecar.leave().await;
    sidecar.app.kill().await;
    let broken = [(Protocol::Http1, 1)].into();
    sidecar
        .until("what was broken off", |report| {
            let leaving = report.leaving.as_ref();
            leaving.is_some_and(|leaving| leaving.broken == broken)
        })
        .await;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
    within("the hooks", hooks.join_all()).await;
    let metrics = sidecar.get("/metrics").await.body;
    for line in [
        "ebb_broken_total{protocol=\"Http1\"} 1",
        "ebb_drains_total{outcome=\"Broken\"} 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{metrics}");
    }
    let drain = sidecar.end().await.drain.unwrap();
    assert_eq!((drain.outcome, drain.finished), (Outcome::Broken, 0));
    assert_eq!(drain.broken, broken);
}

/// Who holds a drain is named while it goes on, and in the last words of one that was cut; what its
/// time went to sums to all of it.
#[tokio::test]
async fn who_holds_a_drain_is_named() {
    let mut sidecar = Sidecar::start(quick(5)).await;
    let _client = sidecar.in_flight("/never").await;
    let hooks = sidecar.call_hooks();
    let report = sidecar
        .until("draining", |report| report.phase == Phase::Draining)
        .await;
    let [holder] = &report.now.holders[..] else {
        panic!("{:?}", report.now);
    };
    assert!(holder.client.ip().is_loopback());
    assert_eq!(holder.port, sidecar.app.address.port());
    assert_eq!((holder.protocol, holder.in_flight), (Protocol::Http1, 1));
    assert_eq!((holder.sent, holder.waits_for), (0, WaitsFor::App));
    assert!(holder.received > 0);
    hooks.join_all().await;
    let drain = sidecar.end().await.drain.unwrap();
    let [cut] = &drain.holders[..] else {
        panic!("{drain:?}");
    };
    assert_eq!((cut.client, cut.sent), (holder.client, 0));
    assert!(cut.age_ms >= 5000, "not before its time: {cut:?}");
    assert_eq!(drain.parts.in_all_ms(), drain.took_ms);
    assert!(drain.parts.last_request_ms >= 1000, "{drain:?}");
}

/// The timeout may change while the drain goes on.
#[tokio::test]
async fn a_new_timeout_takes_effect_during_the_drain() {
    let mut sidecar = Sidecar::start(quick(600)).await;
    let _client = sidecar.in_flight("/never").await;
    let hooks = sidecar.leave().await;
    sidecar.settings.timeout_seconds = 1;
    let desired = sidecar.desired(true, Endpoints::Gone).await;
    assert_eq!(sidecar.put(&desired).await.status, 200);
    hooks.join_all().await;
    assert_eq!(
        sidecar.end().await.drain.unwrap().outcome,
        Outcome::TimedOut
    );
}

/// Disabled: the hooks return although a request is in flight, and it goes on untouched.
#[tokio::test]
async fn a_disabled_policy_holds_nothing() {
    let settings = Settings {
        enabled: false,
        ..quick(60)
    };
    let mut sidecar = Sidecar::start(settings).await;
    let mut client = sidecar.in_flight("/slow").await;
    sidecar.hook("web").await;
    sidecar.hook("ebb").await;
    sidecar.app.answer.notify_waiters();
    assert_eq!(client.join_next().await.unwrap().unwrap().body, "hello");
    assert_eq!(sidecar.end().await.drain.unwrap().outcome, Outcome::Skipped);
}

/// A caller that vanishes (kubelet restarts) and comes back joins the drain.
#[tokio::test]
async fn a_caller_may_vanish_and_come_back() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let client = sidecar.in_flight("/slow").await;
    let mut hooks = sidecar.leave().await;
    hooks.shutdown().await;
    let hooks = sidecar.call_hooks();
    sidecar
        .until("draining", |report| report.phase == Phase::Draining)
        .await;
    sidecar.app.answer.notify_waiters();
    client.join_all().await;
    hooks.join_all().await;
    assert_eq!(sidecar.end().await.drain.unwrap().outcome, Outcome::Drained);
}

/// SIGTERM with a request in flight: the last words are written at once, corrected when the request
/// finished, and the process stays until then.
#[tokio::test]
async fn sigterm_is_survived_by_what_is_in_flight() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let mut client = sidecar.in_flight("/slow").await;
    let hooks = sidecar.leave().await;
    sidecar.tell_to_end();
    hooks.join_all().await;
    let drain = sidecar.last_words().drain.unwrap();
    assert_eq!((drain.outcome, drain.cut_in_all()), (Outcome::Killed, 1));
    sidecar.app.answer.notify_waiters();
    assert_eq!(client.join_next().await.unwrap().unwrap().body, "hello");
    sidecar.ended().await;
    let drain = sidecar.last_words().drain.unwrap();
    assert_eq!((drain.outcome, drain.cut_in_all()), (Outcome::Killed, 0));
}

/// Written is not delivered: after SIGTERM the process stays until a slow client has acknowledged
/// the last byte of an answer that the relay has long handed to the kernel.
#[tokio::test]
async fn a_slow_client_gets_all_of_its_answer() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(sidecar.relay).await.unwrap();
    let request = b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n";
    client.write_all(request).await.unwrap();
    assert_eq!(sidecar.reached().await, "/big");
    sidecar
        .until("the answer is with the kernel", |report| {
            report.now.in_flight.is_empty()
        })
        .await;
    sidecar.tell_to_end();
    // The relay lingers for 2 s on a connection that it closes; the process must outlast that.
    let early = tokio::time::timeout(Duration::from_millis(2500), sidecar.ended()).await;
    assert!(early.is_err(), "the client has not read its answer yet");
    let mut answer = Vec::new();
    within("the answer", client.read_to_end(&mut answer))
        .await
        .unwrap();
    let body = answer.iter().filter(|byte| **byte == b'x').count();
    assert_eq!(body, BIG);
    sidecar.ended().await;
}

/// Kubelet restarts the app's container: its hook alone is released soon, and the pod is back in
/// service when the new app answers, not while the old one still does.
#[tokio::test]
async fn a_restart_of_the_app_heals() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    sidecar.hook("web").await;
    let report = sidecar.report().await;
    assert_eq!(report.last.unwrap().trigger, Trigger::ContainerRestart);
    assert_eq!(sidecar.get("/readyz").await.status, 503);
    sidecar.app.kill().await;
    let address = sidecar.app.address;
    // How long the app is away, and not a wait for something: its port is tried every 200 ms.
    tokio::time::sleep(Duration::from_millis(500)).await;
    sidecar.app = App::start_at(address).await;
    sidecar
        .until("in service", |report| report.phase == Phase::Serving)
        .await;
    assert_eq!(sidecar.get("/readyz").await.status, 200);
    assert_eq!(sidecar.request("/now").await.body, "hello");
    assert_eq!(sidecar.end().await.drain, None);
}
