//! Clients and apps that do what nobody should: the relay does what a plain connection would do,
//! holds no more than a bounded number of bytes, and a drain ends.

use crate::harness::{GET, LAST, OK, TestRelay};
use ebb_api::report::Protocol::Http1;
use ebb_sidecar::stance::Stance;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

/// Heads that dribble in are given up after 5 s, however long they go on (slowloris): the drain
/// does not wait for them, and closes them when the app is about to go.
#[tokio::test]
async fn a_dribbled_head_holds_no_drain() {
    let relay = TestRelay::new().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let (mut client, app) = relay.connect().await;
        client.say("GET / HTTP/1.1\r\nX: ").await;
        clients.push((client, app));
    }
    relay
        .until("the heads to be in flight", |now| {
            now.in_flight.get(&Http1) == Some(&20)
        })
        .await;
    relay.stance(Stance::Draining);
    let given_up = relay.until("nobody to wait for them", |now| now.in_flight_in_all() == 0);
    tokio::pin!(given_up);
    loop {
        tokio::select! {
            () = &mut given_up => break,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                for (client, _) in &mut clients {
                    client.say("x").await;
                }
            }
        }
    }
    for (client, _) in &mut clients {
        client.say("x").await;
    }
    assert_eq!(relay.snapshot().in_flight_in_all(), 0, "and from then on");
    relay.stance(Stance::Closing);
    for (client, _app) in &mut clients {
        client.hear_end().await;
    }
    clients.clear();
    relay
        .until("the end of all", |now| now.connections.is_empty())
        .await;
}

/// An app that resets in the middle of an answer resets its client, which must not take half for
/// whole: while the pod serves, while it leaves, and while the head of the answer is held.
#[tokio::test]
async fn an_answer_that_is_reset_is_reset() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let parted = half.replace("OK\r\n", "OK\r\nConnection: close\r\n");
    for (stance, said, heard) in [
        (Stance::Serving, half, half),
        (Stance::Parting, half, &parted),
        (Stance::Parting, &half[..20], ""),
        (
            Stance::Serving,
            "HTTP/1.0 200 OK\r\n\r\nhalf",
            "HTTP/1.0 200 OK\r\n\r\nhalf",
        ),
    ] {
        let relay = TestRelay::new().await;
        relay.stance(stance);
        let (mut client, mut app) = relay.connect().await;
        client.say(GET).await;
        app.hear(GET).await;
        app.say(said).await;
        client.hear(heard).await;
        app.reset();
        client.hear_reset().await;
        ended(&relay).await;
    }
}

/// A client that resets in the middle of its request, or of the answer, resets the app.
#[tokio::test]
async fn a_client_that_resets_resets_the_app() {
    let upload = "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf";
    for stance in [Stance::Serving, Stance::Parting] {
        for (asked, answered) in [
            (upload, ""),
            (GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            (GET, "HTTP/1.1 200"),
        ] {
            let relay = TestRelay::new().await;
            relay.stance(stance);
            let (mut client, mut app) = relay.connect().await;
            client.say(asked).await;
            app.hear(asked).await;
            app.say(answered).await;
            client.reset();
            app.hear_reset().await;
            ended(&relay).await;
        }
    }
}

/// Nothing of such a connection is left.
async fn ended(relay: &TestRelay) {
    relay
        .until("its end", |now| now.connections.is_empty())
        .await;
    let now = relay.snapshot();
    assert_eq!((now.in_flight_in_all(), now.panics), (0, 0));
}

/// An app that stops reading holds its client back, and the deadline ends it.
#[tokio::test]
async fn an_app_that_stops_reading_is_cut() {
    const MUCH: usize = 64 << 20;
    let relay = TestRelay::new().await;
    let (mut client, app) = relay.connect().await;
    client
        .say(format!("POST / HTTP/1.1\r\nContent-Length: {MUCH}\r\n\r\n"))
        .await;
    let piece = [b'x'; 64 * 1024];
    let mut written = 0;
    // It is full when nothing more went in for as long as a busy machine may need.
    while let Ok(writable) = tokio::time::timeout(Duration::from_secs(1), client.0.writable()).await
    {
        writable.unwrap();
        written += client.0.try_write(&piece).unwrap_or(0);
        assert!(written < MUCH, "the client was not held back");
    }
    assert_eq!(relay.in_flight(Http1), 1);
    relay.stance(Stance::Cut);
    client.hear("HTTP/1.1 504 Gateway Timeout\r\n").await;
    drop(client);
    ended(&relay).await;
    assert_eq!(relay.snapshot().cut.get(&Http1), Some(&1));
    drop(app);
}

/// While the app does not listen its clients are reset, as they would be refused without us; as
/// soon as it does they are served.
#[tokio::test]
async fn an_app_that_listens_later() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let spare = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut relay = TestRelay::with(
        spare,
        ebb_sidecar::upstream::OriginalDestination::Fixed(address),
    );
    relay.client().await.hear_reset().await;
    relay.app = socket.listen(16).unwrap();
    let (mut client, mut app) = relay.connect().await;
    client.say(GET).await;
    app.hear(GET).await;
}

/// An app that closes its listener serves the connections that it has, to their ends.
#[tokio::test]
async fn an_app_that_closes_its_listener() {
    let mut relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    relay.app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    relay.client().await.hear_reset().await;
    client.say(GET).await;
    app.hear(GET).await;
    app.say(OK).await;
    client.hear(OK).await;
    relay.stance(Stance::Parting);
    client.ask(&mut app, LAST).await;
    client.hear_end().await;
}

/// A client that asks and asks and never reads is held back, too, and what waits for it is bounded.
#[tokio::test]
async fn a_client_that_only_asks_is_held_back() {
    const MUCH: usize = 64 << 20;
    let relay = TestRelay::new().await;
    let (client, app) = relay.connect().await;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n{}",
        "x".repeat(65536)
    );
    let requests = GET.repeat(100);
    let mut asked = 0;
    let (mut reads, mut writes) = app.0.into_split();
    let serve = async {
        let mut request = vec![0; GET.len()];
        while reads.read_exact(&mut request).await.is_ok() {
            if writes.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    let ask = async {
        while let Ok(writable) =
            tokio::time::timeout(Duration::from_secs(1), client.0.writable()).await
        {
            writable.unwrap();
            let requests = &requests[asked % GET.len()..];
            asked += client.0.try_write(requests.as_bytes()).unwrap_or(0);
            assert!(asked < MUCH, "the client was not held back");
        }
    };
    tokio::select! {
        () = serve => panic!("the app was not held back"),
        () = ask => {}
    }
    assert_eq!(relay.snapshot().buffered, 1);
    relay.stance(Stance::Cut);
    drop(client);
    ended(&relay).await;
}
