//! HTTP/2 with real peers on both sides, and byte by byte where the words matter.
#![expect(
    clippy::unwrap_used,
    reason = "an error here fails the test, and its backtrace names the line"
)]

use crate::harness::{TestRelay, within};
use bytes::Bytes;
use ebb_api::report::Protocol::Http2;
use ebb_sidecar::stance::Stance;
use ebb_sidecar::upstream::OriginalDestination;
use h2::client::SendRequest;
use h2::{RecvStream, server};
use http::{Request, Response};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// GET / on stream 1, and its answer.
const GET: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
const OK: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x02\0\x01\0\0\0\x01ok";
/// A PING, and what it is answered with.
const QUESTION: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ebb-rest";
const ANSWER: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0ebb-rest";
/// GOAWAY(2^31-1).
const WARNING: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0";
/// The PING after that, and what it is answered with.
const CONFIRM: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ebb-warn";
const PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0ebb-warn";

/// GOAWAY with this last stream and NO_ERROR.
fn go_away(last: u8) -> [u8; 17] {
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]
}

/// The same frames on another stream than 1.
fn on_stream(frames: &[u8], stream: u8) -> Vec<u8> {
    let mut frames = frames.to_vec();
    let mut at = 0;
    while at < frames.len() {
        frames[at + 8] = stream;
        // None is longer than a byte can say.
        at += 9 + usize::from(frames[at + 2]);
    }
    frames
}

/// A server that answers what it is asked, `/wait` when it may, and keeps the books.
#[derive(Clone)]
struct App {
    may: Arc<Semaphore>,
    seen: Arc<Mutex<HashMap<String, u32>>>,
}

impl App {
    fn new() -> App {
        App {
            may: Arc::new(Semaphore::new(0)),
            seen: Arc::default(),
        }
    }

    /// A relay in front of it.
    async fn behind_a_relay(&self, tasks: &mut JoinSet<()>) -> TestRelay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let destination = OriginalDestination::Fixed(listener.local_addr().unwrap());
        let app = self.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(app.clone().serve(stream));
            }
        });
        TestRelay::with(TcpListener::bind("127.0.0.1:0").await.unwrap(), destination)
    }

    async fn serve(self, stream: TcpStream) {
        let Ok(mut connection) = server::handshake(stream).await else {
            return;
        };
        let mut answers = JoinSet::new();
        while let Some(Ok((request, respond))) = connection.accept().await {
            answers.spawn(self.clone().answer(request, respond));
        }
    }

    async fn answer(self, request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) {
        let path = request.uri().path().to_owned();
        if path == "/wait" {
            self.may.acquire().await.unwrap().forget();
        }
        *self.seen.lock().unwrap().entry(path).or_default() += 1;
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"ok"), true).unwrap();
    }
}

async fn connect(relay: &TestRelay, tasks: &mut JoinSet<()>) -> SendRequest<Bytes> {
    let stream = relay.client().await.0;
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tasks.spawn(async move {
        // The requests are told of its end.
        let _ = connection.await;
    });
    requests
}

/// Sends a request, and says whether its answer is whole.
async fn get(requests: &mut SendRequest<Bytes>, path: &str) -> Result<(), h2::Error> {
    let mut ready = requests.clone().ready().await?;
    let request = Request::get(format!("http://a{path}")).body(()).unwrap();
    let (response, _) = ready.send_request(request, true)?;
    let mut body = response.await?.into_body();
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        whole.extend_from_slice(&data?);
    }
    assert_eq!(whole, b"ok");
    Ok(())
}

/// Streams in flight finish on a connection that is told to leave; new ones find it closed to them
/// and go to another.
#[tokio::test]
async fn streams_in_flight_finish() {
    let (mut tasks, app) = (JoinSet::new(), App::new());
    let relay = app.behind_a_relay(&mut tasks).await;
    let mut requests = connect(&relay, &mut tasks).await;
    get(&mut requests, "/first").await.unwrap();
    let (mut one, mut two) = (requests.clone(), requests.clone());
    let waiting = async { tokio::join!(get(&mut one, "/wait"), get(&mut two, "/wait")) };
    let leaving = async {
        relay
            .until("both streams to be in flight", |now| {
                now.in_flight.get(&Http2) == Some(&2)
            })
            .await;
        relay.stance(Stance::Parting);
        within("the connection to take no more", async {
            while get(&mut requests, "/more").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(relay.in_flight(Http2), 2);
        relay.stance(Stance::Draining);
        app.may.add_permits(2);
    };
    let ((one, two), ()) = within("the answers", async { tokio::join!(waiting, leaving) }).await;
    one.unwrap();
    two.unwrap();
    relay
        .until("the connection to end", |now| now.connections.is_empty())
        .await;
    let snapshot = relay.snapshot();
    assert!(snapshot.cut.is_empty());
    assert_eq!(snapshot.idle_closed, 0);
}

/// Clients that move to another pod with each goodbye lose nothing over several drains, and nothing
/// is done twice: one request after the other, and overlapping ones.
#[tokio::test]
async fn no_request_is_lost_over_several_drains() {
    const WORKERS: usize = 6;
    let (mut tasks, app) = (JoinSet::new(), App::new());
    let relays = [
        app.behind_a_relay(&mut tasks).await,
        app.behind_a_relay(&mut tasks).await,
    ];
    let (drains, sent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Workers of the same number share a connection.
    let shared: [tokio::sync::Mutex<Option<SendRequest<Bytes>>>; 3] = Default::default();
    let tasks = Mutex::new(tasks);
    let work = async |worker: usize| {
        while drains.load(Ordering::Relaxed) < 6 {
            let path = format!("/{}", sent.fetch_add(1, Ordering::Relaxed));
            loop {
                let mut place = shared[worker % 3].lock().await;
                let mut requests = match &*place {
                    Some(requests) => requests.clone(),
                    None => {
                        let relay = &relays[drains.load(Ordering::Relaxed) % 2];
                        let mut own = JoinSet::new();
                        let requests = connect(relay, &mut own).await;
                        tasks.lock().unwrap().spawn(async move {
                            own.join_next().await;
                        });
                        place.insert(requests).clone()
                    }
                };
                drop(place);
                match get(&mut requests, &path).await {
                    Ok(()) => break,
                    // The connection takes no more, or this stream was after the last that the app
                    // has seen: the only errors that allow to send it again.
                    Err(error) if error.is_go_away() && error.is_remote() => {
                        assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR));
                        *shared[worker % 3].lock().await = None;
                    }
                    Err(error) => panic!("{path} is lost: {error:?}"),
                }
            }
        }
    };
    let drain = async {
        for drain in 0..6 {
            let (old, new) = (&relays[drain % 2], &relays[(drain + 1) % 2]);
            let before = old.snapshot().finished;
            old.until("some requests", |now| now.finished > before + 50)
                .await;
            new.stance(Stance::Serving);
            drains.fetch_add(1, Ordering::Relaxed);
            old.stance(Stance::Parting);
            if drain < 5 {
                old.until("all to have moved", |now| now.connections.is_empty())
                    .await;
            }
            assert!(old.snapshot().cut.is_empty());
        }
    };
    let all = all_of((0..WORKERS).map(work));
    within("all requests", async { tokio::join!(all, drain) }).await;
    let seen = app.seen.lock().unwrap();
    assert_eq!(
        seen.len(),
        sent.load(Ordering::Relaxed),
        "each was answered"
    );
    assert!(seen.values().all(|times| *times == 1), "and once");
}

/// Runs futures together.
async fn all_of(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// A connection at rest is asked, warned, told exactly which stream was its last, and closed; one
/// that was never used stays until the app is gone.
#[tokio::test]
async fn idle_connections_are_told_and_closed() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say(HELLO).await;
    app.hear(HELLO).await;
    app.say(SETTINGS).await;
    client.hear(SETTINGS).await;
    client.say(GET).await;
    app.hear(GET).await;
    app.say(OK).await;
    client.hear(OK).await;
    let (mut unused, mut unused_app) = relay.connect().await;
    unused.say(HELLO).await;
    unused_app.hear(HELLO).await;
    unused_app.say(SETTINGS).await;
    unused.hear(SETTINGS).await;
    assert_eq!(relay.snapshot().connections[&Http2], 2);
    relay.stance(Stance::Parting);
    client.hear(QUESTION).await;
    client.say(ANSWER).await;
    client.hear([WARNING, CONFIRM].concat()).await;
    client.say(PONG).await;
    client.hear(go_away(1)).await;
    client.hear_end().await;
    app.hear_end().await;
    // What the client began after that is read, and goes nowhere.
    client.say(GET).await;
    unused.hear_nothing(&relay).await;
    assert_eq!(relay.snapshot().idle_closed, 0);
    relay.stance(Stance::Closing);
    unused.hear(go_away(0)).await;
    unused.hear_end().await;
    unused_app.hear_end().await;
    assert_eq!(relay.snapshot().idle_closed, 1);
}

/// A connection whose last stream ends is warned in the same write as that end: a client that reads
/// both at once has no request under way that it could take for broken.
#[tokio::test]
async fn the_warning_rides_on_the_answer() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    client.say([HELLO, GET].concat()).await;
    app.hear([HELLO, GET].concat()).await;
    app.say([SETTINGS, &OK[..10]].concat()).await;
    client.hear([SETTINGS, &OK[..10]].concat()).await;
    relay.stance(Stance::Parting);
    app.say(&OK[10..]).await;
    let mut heard = [0; 100];
    let read = within("the answer", client.0.read(&mut heard)).await;
    assert_eq!(heard[..read.unwrap()], [&OK[10..], WARNING].concat());
}

/// A connection with several streams that is busy for a second is warned, between two frames; the
/// client's answer to that stays here.
#[tokio::test]
async fn a_busy_connection_is_warned() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    let [second, second_ok] = [GET, OK].map(|said| on_stream(said, 3));
    client.say([HELLO, GET, &second].concat()).await;
    app.hear([HELLO, GET, &second].concat()).await;
    app.say([SETTINGS, &OK[..10]].concat()).await;
    client.hear([SETTINGS, &OK[..10]].concat()).await;
    relay.stance(Stance::Parting);
    client.hear([WARNING, CONFIRM].concat()).await;
    let acknowledged = b"\0\0\0\x04\x01\0\0\0\0";
    client.say([PONG, acknowledged].concat()).await;
    app.hear(acknowledged).await;
    app.say([&OK[10..], &second_ok].concat()).await;
    client
        .hear([&OK[10..], &second_ok, &go_away(3)].concat())
        .await;
    client.hear_end().await;
}

/// The deadline: the client hears what the app has seen, and that no more comes; each stream
/// counts.
#[tokio::test]
async fn the_deadline_cuts() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    let second = on_stream(GET, 3);
    let said = [HELLO, GET, &second].concat();
    client.say(&said).await;
    app.hear(&said).await;
    app.say([SETTINGS, &OK[..10]].concat()).await;
    client.hear([SETTINGS, &OK[..10]].concat()).await;
    relay.stance(Stance::Cut);
    client.hear(go_away(3)).await;
    client.hear_end().await;
    app.hear_end().await;
    let snapshot = relay.snapshot();
    assert_eq!(snapshot.cut[&Http2], 2);
    assert_eq!((snapshot.finished, snapshot.idle_closed), (0, 0));
}
