//! What is let in on the admin port, and what is not.

use crate::running::{Sidecar, TOKEN, call, quick, within};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ebb_api::desired::{Conflict, Desired, Endpoints, Revision};
use ebb_api::phase::Phase;
use ebb_api::report::Report;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Probes, metrics and status answer from the start, and count.
#[tokio::test]
async fn it_answers_from_the_start() {
    let sidecar = Sidecar::start(quick(30)).await;
    assert_eq!(sidecar.get("/livez").await.status, 200);
    assert_eq!(sidecar.get("/readyz").await.status, 200);
    assert_eq!(sidecar.get("/nothing").await.status, 404);
    assert_eq!(sidecar.get("/v1/desired").await.status, 405);
    assert_eq!(sidecar.request("/now").await.body, "hello");
    let metrics = sidecar.get("/metrics").await.body;
    for line in [
        "ebb_phase{phase=\"Serving\"} 1",
        "ebb_finished_total 1",
        "ebb_cut_total{protocol=\"Http1\"} 0",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let report = sidecar.report().await;
    assert_eq!(
        (report.phase, report.revision),
        (Phase::Serving, Revision::new(0, 0))
    );
}

/// Without the token nobody holds or drains anything.
#[tokio::test]
async fn hooks_need_the_token() {
    let sidecar = Sidecar::start(quick(30)).await;
    for token in ["", "ebb-token: wrong\r\n", "ebb-token: \r\n"] {
        let request =
            format!("GET /hook/web HTTP/1.1\r\nhost: x\r\n{token}connection: close\r\n\r\n");
        assert_eq!(call(sidecar.admin, &request).await.status, 401, "{token:?}");
    }
    assert_eq!(sidecar.hook("nobody").await.status, 404);
    assert_eq!(sidecar.report().await.phase, Phase::Serving);
    let metrics = sidecar.get("/metrics").await.body;
    assert!(
        metrics.contains("ebb_hook_calls_total{result=\"unauthorized\"} 3"),
        "{metrics}"
    );
}

/// A desired state with a good signature is in force at once; the answer says so.
#[tokio::test]
async fn a_signed_state_is_accepted() {
    let mut sidecar = Sidecar::start(quick(30)).await;
    sidecar.settings.timeout_seconds = 7;
    let desired = sidecar.desired(true, Endpoints::Present).await;
    let answer = sidecar.put(&desired).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let report: Report = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (report.phase, report.revision),
        (Phase::Deregistering, Revision::new(1, 1))
    );
    let remaining = report.leaving.unwrap().remaining_ms;
    assert!((6000..=7000).contains(&remaining), "{remaining}");
}

/// Whoever has not the key changes nothing.
#[tokio::test]
async fn other_signatures_are_refused() {
    let mut sidecar = Sidecar::start(quick(30)).await;
    let desired = sidecar.desired(true, Endpoints::Gone).await;
    let body = serde_json::to_string(&desired).unwrap();
    let good = BASE64_STANDARD.encode(sidecar.key.sign(body.as_bytes()));
    let other = BASE64_STANDARD.encode(sidecar.key.sign(b"something else"));
    for (key, signature, body) in [
        ("key-1", other.as_str(), body.as_str()),
        ("key-1", "not base64!", &body),
        ("key-1", "", &body),
        ("key-2", &good, &body),
        ("key-1", &good, &body.replace("Deleted", "Terminating")),
        ("key-1", TOKEN, &body),
    ] {
        let answer = sidecar.put_raw(key, signature, body).await;
        assert_eq!(answer.status, 401, "{key} {signature}: {answer:?}");
    }
    let report = sidecar.report().await;
    assert_eq!(
        (report.phase, report.revision),
        (Phase::Serving, Revision::new(0, 0))
    );
}

/// Another pod's state, another start's, and an old one: refused, and the conflict says what is. To
/// a sender of an earlier term it shows the state that a later leader has signed.
#[tokio::test]
async fn states_for_others_and_old_ones_are_refused() {
    let mut sidecar = Sidecar::start(quick(30)).await;
    let first = sidecar.desired(false, Endpoints::Present).await;
    assert_eq!(sidecar.put(&first).await.status, 200);

    let mut stolen = sidecar.desired(true, Endpoints::Gone).await;
    stolen.pod = "another".to_owned();
    assert_eq!(sidecar.put(&stolen).await.status, 403);

    let mut earlier_start = sidecar.desired(true, Endpoints::Gone).await;
    earlier_start.boot = "another".to_owned();
    let mut repeated = sidecar.desired(true, Endpoints::Gone).await;
    repeated.revision = first.revision;
    let mut old = repeated.clone();
    old.revision = Revision::new(0, 1000);
    for (refused, of_earlier_term) in [(earlier_start, false), (repeated, false), (old, true)] {
        let answer = sidecar.put(&refused).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        let conflict: Conflict = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (conflict.boot, conflict.revision),
            (first.boot.clone(), first.revision)
        );
        assert_eq!(conflict.accepted.is_some(), of_earlier_term);
        let Some(shown) = conflict.accepted else {
            continue;
        };
        let signature = BASE64_STANDARD.encode(sidecar.key.sign(shown.body.as_bytes()));
        assert_eq!(shown.signature, signature);
        let shown: Desired = serde_json::from_str(&shown.body).unwrap();
        assert_eq!(shown, first);
    }
    assert_eq!(sidecar.report().await.phase, Phase::Serving);
}

/// A signed body that is no desired state gets a sentence.
#[tokio::test]
async fn signed_garbage_is_explained() {
    let mut sidecar = Sidecar::start(quick(30)).await;
    let good = serde_json::to_string(&sidecar.desired(false, Endpoints::Gone).await).unwrap();
    for (body, sentence) in [
        ("", "EOF"),
        ("{}", "missing field `pod`"),
        (&good.replace("Gone", "Lost"), "unknown variant `Lost`"),
        (
            &good.replace("\"revision\"", "\"revison\""),
            "unknown field `revison`",
        ),
    ] {
        let signature = BASE64_STANDARD.encode(sidecar.key.sign(body.as_bytes()));
        let answer = sidecar.put_raw("key-1", &signature, body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains(sentence), "{sentence:?} in {answer:?}");
    }
    let large = "x".repeat(17 * 1024);
    assert_eq!(sidecar.put_raw("key-1", "", &large).await.status, 413);
}

/// Bytes that are no HTTP cost their sender the connection and nobody else anything.
#[tokio::test]
async fn garbage_is_survived() {
    let sidecar = Sidecar::start(quick(30)).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\0\0\r\n\r\n",
        b"GET /hook/%00%ff HTTP/1.1\r\nhost: x\r\nebb-token: \xff\r\n\r\n",
        b"PUT /v1/desired HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551616\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(sidecar.admin).await.unwrap();
        // Either may fail: the sidecar is free to hang up at the first wrong byte.
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within("the end of the connection", stream.read_to_end(&mut answer)).await;
    }
    assert_eq!(sidecar.get("/livez").await.status, 200);
    assert_eq!(sidecar.report().await.phase, Phase::Serving);
}

/// Any number of readers follow the status; a change of phase reaches them at once.
#[tokio::test]
async fn the_status_is_streamed() {
    let mut sidecar = Sidecar::start(quick(30)).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(sidecar.admin).await.unwrap();
        let request = b"GET /v1/status?watch=true HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let first = next_report(&mut lines).await;
        assert_eq!(first.phase, Phase::Serving);
        readers.push(lines);
    }
    let desired = sidecar.desired(true, Endpoints::Present).await;
    assert_eq!(sidecar.put(&desired).await.status, 200);
    for reader in &mut readers {
        let next = next_report(reader).await;
        assert_eq!(
            (next.phase, next.revision),
            (Phase::Deregistering, Revision::new(1, 1))
        );
    }
}

/// Kubelet keeps the connection of a hook call and uses it again.
#[tokio::test]
async fn a_connection_serves_several_hooks() {
    let sidecar = Sidecar::start(ebb_api::settings::Settings {
        enabled: false,
        ..quick(30)
    })
    .await;
    let mut stream = BufReader::new(TcpStream::connect(sidecar.admin).await.unwrap());
    for container in ["web", "ebb"] {
        let request =
            format!("GET /hook/{container} HTTP/1.1\r\nhost: x\r\nebb-token: {TOKEN}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        while line != "released\n" {
            line.clear();
            within("the answer", stream.read_line(&mut line))
                .await
                .unwrap();
            assert!(!line.is_empty(), "the connection ended");
        }
    }
}

/// Connections that say nothing, more than there are places, keep kubelet out as little as those
/// that did say something once; and a hook that is being held keeps its place.
#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let mut sidecar = Sidecar::start(quick(60)).await;
    let mut client = JoinSet::new();
    client.spawn(sidecar.request("/slow"));
    sidecar.reached().await;
    let mut held = JoinSet::new();
    held.spawn(sidecar.hook("ebb"));
    sidecar
        .until("the hook to be held", |report| report.leaving.is_some())
        .await;
    let mut crowd = Vec::new();
    for number in 0..600 {
        let mut stream = TcpStream::connect(sidecar.admin).await.unwrap();
        if number % 2 == 0 {
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
        }
        crowd.push(stream);
    }
    assert_eq!(sidecar.get("/livez").await.status, 200);
    held.spawn(sidecar.hook("web"));
    assert!(
        held.try_join_next().is_none(),
        "held for the request in flight"
    );
    sidecar.app.answer.notify_waiters();
    for answer in held.join_all().await {
        assert_eq!(answer.status, 200);
    }
    drop(crowd);
}

async fn next_report(lines: &mut tokio::io::Lines<BufReader<TcpStream>>) -> Report {
    loop {
        let line = within("a line of the stream", lines.next_line()).await;
        // Between the lines stand the head and the sizes of the chunks.
        if let Ok(report) = serde_json::from_str(&line.unwrap().unwrap()) {
            return report;
        }
    }
}
