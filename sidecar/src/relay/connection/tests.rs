use super::sockets::App;
use super::*;
use crate::census::Census;
use crate::relay::buffer::with_scratch;
use crate::relay::exchange::http1::bytes::UNAVAILABLE;
use crate::relay::notify::Notifier;
use crate::upstream::{Approach, OriginalDestination, Upstream};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Two ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let one = TcpStream::connect(address).await.unwrap();
    let (other, _) = listener.accept().await.unwrap();
    (one, other)
}

/// A connection whose app has not been dialed, and its client.
async fn taken_in(census: &Arc<Census>) -> (Connection, TcpStream) {
    let (client, accepted) = pair().await;
    let (peer, address) = (client.local_addr().unwrap(), accepted.local_addr().unwrap());
    let exchange = Exchange::new(census.connect_nobody());
    let upstream = Upstream::new(OriginalDestination::Fixed(address), Approach::default());
    let destination = upstream.destination(&accepted, peer).unwrap();
    (Connection::between(accepted, destination, exchange), client)
}

/// Moves what can be moved.
fn turn(connection: &mut Connection, now: Instant) {
    let mut context = Context::from_waker(std::task::Waker::noop());
    while with_scratch(|scratch| connection.turn(&mut context, scratch, now)) == Ok(true) {}
}

/// 10,000 idle connections are to fit into 30 MB, of which tokio and the census need half. The size
/// also depends on the features that tokio is built with: more of them in a build of the whole
/// workspace than in the sidecar's own, where it is at most 1,072.
#[tokio::test]
async fn an_idle_connection_is_small() {
    let (connection, _client) = taken_in(&Census::new(Instant::now())).await;
    let (_conduct, told) = watch::channel(Conduct::default());
    let subscription = Arc::<Notifier>::default().subscribe(told);
    let size = std::mem::size_of_val(&connection.run(subscription));
    assert!(size <= 1280, "the task of a connection takes {size} bytes");
}

/// The deadline cuts what is in flight; whole answers still go to a client that takes its time.
#[tokio::test]
async fn whole_answers_wait_for_slow_clients_beyond_the_deadline() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for whole in [true, false] {
        let (mut connection, _client) = taken_in(&Census::new(Instant::now())).await;
        let now = Instant::now();
        connection.exchange.client_sent(GET, now);
        let length = if whole { OK.len() } else { OK.len() - 1 };
        let passed = connection.exchange.app_sent(&OK[..length], now);
        connection.legs.push(Leg::Client, &passed.bytes);
        connection.take_up(
            &Conduct {
                stance: Stance::Cut,
                ..Conduct::default()
            },
            now,
        );
        connection.cut(now).unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let end = connection.poll_rest(&mut context, now + std::time::Duration::from_secs(60));
        let expected = if whole {
            Poll::Pending
        } else {
            Poll::Ready(End::Reset)
        };
        assert_eq!(end, expected, "the answer is whole: {whole}");
    }
}

/// The end of an upload that an app has answered early, and has not taken yet, still goes to it
/// after the last answer.
#[tokio::test]
async fn an_early_answer_does_not_cut_what_waits_for_the_app() {
    const POST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let census = Census::new(Instant::now());
    let (mut connection, mut client) = taken_in(&census).await;
    let (leg, mut app) = pair().await;
    let mut before = 0;
    while let Ok(written) = leg.try_write(&[0; 64 * 1024]) {
        before += written;
    }
    connection.legs.app = App::Open(leg);
    connection.stage = Stage::Relaying;
    let (_conduct, told) = watch::channel(Conduct {
        stance: Stance::Parting,
        ..Conduct::default()
    });
    let subscription = Arc::<Notifier>::default().subscribe(told);
    let mut relay = tokio::task::JoinSet::new();
    relay.spawn(connection.run(subscription));
    client.write_all(POST).await.unwrap();
    while census.snapshot(Instant::now()).in_flight_in_all() == 0 {
        tokio::task::yield_now().await;
    }
    app.write_all(OK).await.unwrap();
    let mut answer = vec![0; LAST.len()];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, LAST);
    let mut heard = Vec::new();
    app.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard[before..], *POST);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

/// The start of what may be the client's answer to our PING is held. When the app stops making
/// sense it goes on to it, before what the client says at the same moment.
#[tokio::test]
async fn what_was_held_keeps_its_place() {
    const ASKED: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
        \0\0\0\x01\x05\0\0\0\x01\0\0\0\x01\x05\0\0\0\x03";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0ebb-warn";
    const ODD: &[u8] = b"\0\0\0\0\0\0\0\0\0";
    let (mut connection, mut client) = taken_in(&Census::new(Instant::now())).await;
    let (leg, mut app) = pair().await;
    connection.take_up(
        &Conduct {
            stance: Stance::Parting,
            ..Conduct::default()
        },
        Instant::now(),
    );
    let asked = Instant::now();
    let warned = asked + std::time::Duration::from_secs(1);
    connection.exchange.client_sent(ASKED, asked);
    connection.exchange.app_sent(SETTINGS, asked);
    assert!(connection.exchange.goodbye(warned).is_some());
    let warned = warned + std::time::Duration::from_secs(2);
    assert!(connection.exchange.goodbye(warned).is_some());
    assert!(
        connection
            .exchange
            .client_sent(&PONG[..5], warned)
            .bytes
            .is_empty()
    );
    app.write_all(ODD).await.unwrap();
    client.write_all(&PONG[5..]).await.unwrap();
    leg.readable().await.unwrap();
    connection.legs.client.readable().await.unwrap();
    connection.legs.app = App::Open(leg);
    connection.stage = Stage::Relaying;
    turn(&mut connection, warned);
    let mut heard = vec![0; PONG.len()];
    app.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, PONG);
}

/// A request of a kept client whose first bytes found no app is never sent without them, however
/// late the rest comes, and whoever listens by then.
#[tokio::test]
async fn half_a_request_is_not_sent() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (mut connection, mut client) = taken_in(&Census::new(Instant::now())).await;
    let address = client.peer_addr().unwrap();
    let now = Instant::now();
    connection.exchange.client_sent(GET, now);
    connection.exchange.app_sent(OK, now);
    connection.take_up(
        &Conduct {
            stance: Stance::Parting,
            ..Conduct::default()
        },
        Instant::now(),
    );
    connection.go_on_without_app();
    let said = |text| client.try_write(text).unwrap();
    said(&GET[..10]);
    connection.legs.client.readable().await.unwrap();
    turn(&mut connection, now);
    while connection.stage == Stage::Redialing {
        tokio::task::yield_now().await;
        turn(&mut connection, now);
    }
    assert_eq!(connection.stage, Stage::WithoutApp);
    let _app = TcpListener::bind(address).await.unwrap();
    said(&GET[10..]);
    connection.legs.client.readable().await.unwrap();
    turn(&mut connection, now + std::time::Duration::from_secs(60));
    assert_eq!(connection.stage, Stage::Closing);
    let mut heard = vec![0; UNAVAILABLE.len()];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, UNAVAILABLE);
}

/// What is logged of a connection says whose it is, and to which port of the app it goes.
#[tokio::test]
async fn the_log_names_client_and_port() {
    let (mut connection, client) = taken_in(&Census::new(Instant::now())).await;
    let port = connection.legs.app_port().unwrap();
    let log = Log::default();
    let _logged = tracing::subscriber::set_default(log.subscriber());
    let mut context = Context::from_waker(std::task::Waker::noop());
    while with_scratch(|scratch| connection.turn(&mut context, scratch, Instant::now())).is_ok() {
        tokio::task::yield_now().await;
    }
    let names = format!(
        "client.addr={} app.port={port}",
        client.local_addr().unwrap()
    );
    let said = log.said();
    assert!(said.contains(&names), "{said}");
}

/// The log says why a connection is opaque, once.
#[tokio::test]
async fn the_log_says_why_a_connection_is_opaque() {
    let log = Log::default();
    let _logged = tracing::subscriber::set_default(log.subscriber());
    let (mut connection, client) = taken_in(&Census::new(Instant::now())).await;
    for _ in 0..2 {
        client.try_write(b"\x16 is no beginning of HTTP").unwrap();
        connection.legs.client.readable().await.unwrap();
        turn(&mut connection, Instant::now());
    }
    assert_eq!(log.said().matches("opaque from here on").count(), 1);
    assert!(log.said().contains("reason=NotHttp"), "{}", log.said());
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish()
    }

    fn said(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
