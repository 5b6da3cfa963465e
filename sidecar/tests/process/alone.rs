//! A pod whose clients can go nowhere else, over real connections.

use crate::running::{Sidecar, quick, within};
use ebb_api::desired::Endpoints;
use ebb_api::phase::{Outcome, Phase};
use ebb_api::report::Report;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than the lame-duck phase of these tests may otherwise be.
const LONG_MS: u64 = 4_000;

impl Sidecar {
    /// The controller says that the pod leaves, that its endpoints are gone, and in which Service
    /// it is alone.
    async fn say_alone_in(&mut self, service: Option<&str>) {
        let mut desired = self.desired(true, Endpoints::Gone).await;
        desired.services.alone_in = service.map(str::to_owned);
        assert_eq!(self.put(&desired).await.status, 200);
    }
}

/// The whole head and body of an answer on a connection that stays.
async fn ask(client: &mut TcpStream) -> String {
    let request = b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"hello") {
        let read = within("the answer", client.read_buf(&mut heard)).await;
        assert!(read.unwrap() > 0, "the end came first: {heard:?}");
    }
    String::from_utf8(heard).unwrap().to_ascii_lowercase()
}

fn accepts_for_long(report: &Report) -> bool {
    let leaving = report.leaving.as_ref();
    leaving.is_some_and(|leaving| leaving.elapsed_ms > LONG_MS)
}

/// As long as a request of before the signal is in flight the pod accepts, stays ready and tells
/// nobody to leave, far beyond the greatest length of its lame-duck phase. When the request has
/// ended the port is closed and the hooks return.
#[tokio::test]
async fn who_is_alone_serves_until_the_old_request_has_ended() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let mut old = sidecar.in_flight("/slow").await;
    let mut stays = TcpStream::connect(sidecar.relay).await.unwrap();
    ask(&mut stays).await;
    let mut hooks = sidecar.leave().await;
    sidecar.say_alone_in(Some("web")).await;
    let report = sidecar.until("a long time", accepts_for_long).await;
    assert_eq!(report.phase, Phase::Deregistering);
    let alone_in = report.leaving.unwrap().alone_in;
    assert_eq!(alone_in.as_deref(), Some("web"));
    assert_eq!(sidecar.get("/readyz").await.status, 200);
    assert_eq!(sidecar.request("/now").await.body, "hello");
    let answer = ask(&mut stays).await;
    assert!(!answer.contains("connection: close"), "{answer}");
    assert!(hooks.try_join_next().is_none(), "a request is in flight");

    sidecar.app.answer.notify_waiters();
    assert_eq!(old.join_next().await.unwrap().unwrap().body, "hello");
    within("the hooks", hooks.join_all()).await;
    let refused = TcpStream::connect(sidecar.relay).await;
    assert!(refused.is_err(), "the listener is closed");
    let drain = sidecar.end().await.drain.unwrap();
    assert_eq!(drain.outcome, Outcome::Drained);
    assert!(drain.took_ms > LONG_MS, "{drain:?}");
}

/// As soon as the controller knows of another endpoint, clients are told to go there, and the pod
/// stops accepting while the old request goes on.
#[tokio::test]
async fn another_endpoint_ends_that() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let old = sidecar.in_flight("/slow").await;
    let mut stays = TcpStream::connect(sidecar.relay).await.unwrap();
    ask(&mut stays).await;
    let hooks = sidecar.leave().await;
    sidecar.say_alone_in(Some("web")).await;
    sidecar.until("a long time", accepts_for_long).await;
    sidecar.say_alone_in(None).await;
    let answer = ask(&mut stays).await;
    assert!(answer.contains("connection: close"), "{answer}");
    let report = sidecar
        .until("draining", |report| report.phase == Phase::Draining)
        .await;
    assert_eq!(report.leaving.unwrap().alone_in, None);
    assert!(TcpStream::connect(sidecar.relay).await.is_err());
    sidecar.app.answer.notify_waiters();
    old.join_all().await;
    hooks.join_all().await;
    assert_eq!(sidecar.end().await.drain.unwrap().outcome, Outcome::Drained);
}
