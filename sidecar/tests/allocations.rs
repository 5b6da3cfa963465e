//! What a relay that has warmed up allocates for a request: nothing. And for a side that takes
//! nothing: no more than one read.
//!
//! Client, relay and app are on one thread, and so is the counter; client and app are written so
//! that they allocate nothing themselves.
#![expect(
    clippy::unwrap_used,
    reason = "an error here fails the test, and its backtrace names the line"
)]

use allocation_counter::measure;
use ebb_sidecar::census::Census;
use ebb_sidecar::listener::{self, Port};
use ebb_sidecar::relay::Relay;
use ebb_sidecar::stance::Conduct;
use ebb_sidecar::upstream::{Approach, OriginalDestination, Upstream};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many requests are measured.
const REQUESTS: u32 = 1000;

/// How many come before, so that everything has the size that it stays at.
const WARM_UP: u32 = 100;

/// Both ends of a connection through a relay.
struct Ends {
    census: Arc<Census>,
    client: TcpStream,
    app: TcpStream,
    _conduct: watch::Sender<Conduct>,
    _relay: JoinSet<()>,
}

impl Ends {
    async fn new() -> Ends {
        let app = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let destination = OriginalDestination::Fixed(app.local_addr().unwrap());
        let upstream = Upstream::new(destination, Approach::default());
        let (conduct, told) = watch::channel(Conduct::default());
        let census = Census::new(Instant::now());
        let relay = Relay::new(census.clone(), told, upstream);
        let bound = listener::bind(Port::plain(0)).unwrap();
        let port = bound.local_addr().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(bound.run(relay, std::future::pending()));
        Ends {
            census,
            client: TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .unwrap(),
            app: app.accept().await.unwrap().0,
            _conduct: conduct,
            _relay: tasks,
        }
    }

    /// The client says something, and the app hears it.
    async fn ask(&mut self, bytes: &[u8]) {
        pass(&mut self.client, &mut self.app, bytes).await;
    }

    /// The app says something, and the client hears it.
    async fn answer(&mut self, bytes: &[u8]) {
        pass(&mut self.app, &mut self.client, bytes).await;
    }
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    let mut heard = [0; 1024];
    let heard = &mut heard[..bytes.len()];
    to.read_exact(heard).await.unwrap();
    assert_eq!(heard, bytes);
}

/// Counts what this thread allocates for [`REQUESTS`] exchanges on a warm connection; each is given
/// its number.
fn allocations(exchange: &impl AsyncFn(&mut Ends, u32)) -> u64 {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut ends = runtime.block_on(Ends::new());
    let mut run = |numbers: std::ops::Range<u32>| {
        runtime.block_on(async {
            for number in numbers {
                exchange(&mut ends, number).await;
            }
        });
    };
    run(0..WARM_UP);
    measure(|| run(WARM_UP..WARM_UP + REQUESTS)).count_total
}

/// HTTP/1: with and without a body, of either framing.
#[test]
fn http1_allocates_nothing() {
    let counted = allocations(&async |ends, _| {
        ends.ask(b"GET / HTTP/1.1\r\nHost: app\r\nUser-Agent: test\r\n\r\n")
            .await;
        ends.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            .await;
        ends.ask(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        ends.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .await;
    });
    assert_eq!(counted, 0);
}

/// HTTP/2: a stream for each request.
#[test]
fn http2_allocates_nothing() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    const END_HEADERS: u8 = 4;
    const END_STREAM: u8 = 1;
    let frame = |flags: u8, stream: u32| {
        let [a, b, c, d] = stream.to_be_bytes();
        [0, 0, 1, HEADERS, flags, a, b, c, d, 0x82]
    };
    let counted = allocations(&async |ends, number| {
        if number == 0 {
            ends.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            ends.ask(&SETTINGS).await;
            ends.answer(&SETTINGS).await;
        }
        let stream = 2 * number + 1;
        let frame = frame(END_HEADERS | END_STREAM, stream);
        ends.ask(&frame).await;
        ends.answer(&frame).await;
    });
    assert_eq!(counted, 0);
}

/// What is no HTTP: questions and answers.
#[test]
fn an_opaque_connection_allocates_nothing() {
    let counted = allocations(&async |ends, _| {
        ends.ask(b"\x00question").await;
        ends.answer(b"\x00answer").await;
    });
    assert_eq!(counted, 0);
}

/// Who does not take what is said, and says more meanwhile, costs the relay one read of the other
/// side in each direction; the rest waits with its sender.
#[test]
fn a_side_that_takes_nothing_is_bounded() {
    const READ: u64 = 64 * 1024;
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut ends = runtime.block_on(Ends::new());
    let chunk = vec![b'x'; 64 * 1024];
    let allocated = measure(|| {
        runtime.block_on(async {
            ends.ask(b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n")
                .await;
            ends.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
                .await;
            // Until neither got a byte on its way for a thousand turns of the relay's.
            let (mut still, mut all) = (0, 0);
            while still < 1000 {
                let said = [&ends.client, &ends.app].map(|end| end.try_write(&chunk).unwrap_or(0));
                still = if said == [0, 0] { still + 1 } else { 0 };
                // Far more than any kernel's buffers take.
                all += said[0] + said[1];
                assert!(all < 256 << 20, "the relay takes everything");
                tokio::task::yield_now().await;
            }
        });
    });
    let census = ends.census.snapshot(Instant::now());
    assert_eq!(census.buffered, 1, "the client takes nothing");
    assert!(
        allocated.bytes_max <= 2 * READ + 4096,
        "{} bytes are held",
        allocated.bytes_max
    );
}
