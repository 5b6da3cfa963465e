//! A relay between a client and an app that are both played by the test.
#![expect(
    clippy::unwrap_used,
    reason = "an error here fails the test, and its backtrace names the line"
)]

use ebb_api::connections::ConnectionSettings;
use ebb_api::report::Protocol;
use ebb_sidecar::census::{Census, Snapshot};
use ebb_sidecar::listener::{self, Bound, Port};
use ebb_sidecar::relay::Relay;
use ebb_sidecar::stance::{Conduct, Pace, Stance};
use ebb_sidecar::upstream::{Approach, OriginalDestination, Upstream};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A request of HTTP/1.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The app's answer to it.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// That answer with the goodbye.
pub(crate) const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// Far more than anything here takes, far less than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running relay in front of an app's port.
pub(crate) struct TestRelay {
    pub(crate) census: Arc<Census>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) app: TcpListener,
    pub(crate) address: SocketAddr,
    conduct: watch::Sender<Conduct>,
    _relay: JoinSet<()>,
}

impl TestRelay {
    pub(crate) async fn new() -> TestRelay {
        let app = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let destination = OriginalDestination::Fixed(app.local_addr().unwrap());
        TestRelay::with(app, destination)
    }

    /// The app's port is told of each client by the PROXY protocol.
    pub(crate) async fn with_proxy_protocol() -> TestRelay {
        let app = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = app.local_addr().unwrap();
        let destination = OriginalDestination::Fixed(address);
        let upstream =
            Upstream::with_proxy_protocol(destination, Approach::default(), [address.port()]);
        TestRelay::upon(app, upstream)
    }

    pub(crate) fn with(app: TcpListener, destination: OriginalDestination) -> TestRelay {
        TestRelay::upon(app, Upstream::new(destination, Approach::default()))
    }

    fn upon(app: TcpListener, upstream: Arc<Upstream>) -> TestRelay {
        let census = Census::new(Instant::now());
        let (conduct, told) = watch::channel(Conduct {
            stance: Stance::Serving,
            pace: None,
            // Long enough for a test to see a silent opaque connection in flight, short enough to
            // wait for.
            connections: ConnectionSettings {
                idle_seconds: 1,
                ..ConnectionSettings::default()
            },
        });
        let workers = std::num::NonZeroUsize::new(crate::WORKERS).unwrap();
        let relay = Relay::new(census.clone(), told, upstream.clone()).with_workers(workers);
        let bound: Bound = listener::bind(Port::plain(0)).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, bound.local_addr().port()));
        let mut tasks = JoinSet::new();
        tasks.spawn(bound.run(relay, std::future::pending()));
        TestRelay {
            census,
            upstream,
            app,
            address,
            conduct,
            _relay: tasks,
        }
    }

    /// A connection through the relay, both ends of it.
    pub(crate) async fn connect(&self) -> (End, End) {
        let client = self.client().await;
        let app = self.accept().await;
        (client, app)
    }

    /// A connection that has served a request and is idle, both ends of it.
    pub(crate) async fn served(&self) -> (End, End) {
        let (mut client, mut app) = self.connect().await;
        client.ask(&mut app, OK).await;
        (client, app)
    }

    pub(crate) async fn client(&self) -> End {
        End(within("connect", TcpStream::connect(self.address))
            .await
            .unwrap())
    }

    pub(crate) async fn accept(&self) -> End {
        End(within("the app to accept", self.app.accept())
            .await
            .unwrap()
            .0)
    }

    pub(crate) fn stance(&self, stance: Stance) {
        self.conduct.send_modify(|conduct| conduct.stance = stance);
    }

    /// Goodbyes are spread over this time from now on.
    pub(crate) fn pace(&self, pace: Option<Pace>) {
        self.conduct.send_modify(|conduct| conduct.pace = pace);
    }

    /// The policy is another one from now on.
    pub(crate) fn settings(&self, change: impl FnOnce(&mut ConnectionSettings)) {
        self.conduct
            .send_modify(|conduct| change(&mut conduct.connections));
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.census.snapshot(Instant::now())
    }

    pub(crate) fn in_flight(&self, protocol: Protocol) -> u64 {
        self.snapshot()
            .in_flight
            .get(&protocol)
            .copied()
            .unwrap_or(0)
    }

    /// Waits until the census says so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Snapshot) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.snapshot()) {
            let last = self.snapshot();
            assert!(
                Instant::now() < deadline,
                "waited for: {what}; it is {last:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One end of a connection, as the test plays it.
pub(crate) struct End(pub(crate) TcpStream);

impl End {
    pub(crate) async fn say(&mut self, text: impl AsRef<[u8]>) {
        within("writing", self.0.write_all(text.as_ref()))
            .await
            .unwrap();
    }

    /// Sends a request, which `app` answers with [`OK`], and hears this answer.
    pub(crate) async fn ask(&mut self, app: &mut End, answer: &str) {
        self.say(GET).await;
        app.hear(GET).await;
        app.say(OK).await;
        self.hear(answer).await;
    }

    /// Reads exactly this.
    pub(crate) async fn hear(&mut self, text: impl AsRef<[u8]>) {
        let expected = text.as_ref();
        let mut heard = vec![0; expected.len()];
        let mut length = 0;
        while length < heard.len() {
            let read = within(
                &format!("{:?}", String::from_utf8_lossy(expected)),
                self.0.read(&mut heard[length..]),
            )
            .await
            .unwrap();
            if read == 0 {
                break;
            }
            length += read;
        }
        assert_eq!(
            String::from_utf8_lossy(&heard[..length]),
            String::from_utf8_lossy(expected)
        );
    }

    /// Reads the end of the other side, and nothing before it.
    pub(crate) async fn hear_end(&mut self) {
        let mut rest = Vec::new();
        within("the end", self.0.read_to_end(&mut rest))
            .await
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Sees the connection reset.
    pub(crate) async fn hear_reset(&mut self) {
        let mut rest = Vec::new();
        let error = within("a reset", self.0.read_to_end(&mut rest))
            .await
            .expect_err("a reset, not an end");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    /// Sees that nothing comes: whatever the relay had to do is done when `probe`, a fresh
    /// connection through it, has been answered.
    pub(crate) async fn hear_nothing(&mut self, probe: &TestRelay) {
        let (mut client, mut app) = probe.connect().await;
        client.say("probe").await;
        app.hear("probe").await;
        let mut byte = [0];
        match self.0.try_read(&mut byte) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            other => panic!("expected silence, got {other:?} {byte:?}"),
        }
    }

    pub(crate) async fn finish(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.0)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("waited too long for: {what}"))
}
