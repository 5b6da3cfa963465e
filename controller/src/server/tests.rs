//! What a port does with its clients, over loopback.

use super::*;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long anything may take here; all of it is on loopback.
const SOON: Duration = Duration::from_secs(10);

/// A port for two connections that is served.
struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Served {
    async fn start(router: Router) -> Served {
        let bound = bind(Port {
            name: "port",
            address: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            most_connections: 2,
            linger: Duration::ZERO,
        });
        let bound = bound.await.unwrap();
        let (address, stop) = (bound.address(), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(bound.serve(router, stop.clone()));
        Served {
            address,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ends(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(SOON, self.task.join_next());
        ended.await.expect("it serves on").unwrap().unwrap();
    }
}

/// Asks on a connection that stays.
async fn ask(client: &mut TcpStream) {
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    client.write_all(request).await.unwrap();
    is_answered(client).await;
}

async fn is_answered(client: &mut TcpStream) {
    let mut answer = Vec::new();
    let whole = async {
        while !answer.ends_with(b"\r\n\r\nok") {
            let read = client.read_buf(&mut answer).await.unwrap();
            assert_ne!(read, 0, "hung up instead of answering");
        }
    };
    let whole = tokio::time::timeout(SOON, whole).await;
    whole.expect("no answer");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{answer:?}");
}

async fn is_hung_up_on(client: &mut TcpStream) {
    let hung_up = tokio::time::timeout(SOON, client.read_u8()).await;
    assert!(hung_up.expect("it is still open").is_err());
}

/// Not the oldest connection goes: that would be an API server's.
#[tokio::test]
async fn who_asks_stays_and_the_most_silent_goes() {
    let served = Served::start(Router::new().route("/", get("ok"))).await;
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    ask(&mut first).await;
    ask(&mut second).await;
    ask(&mut first).await;
    let mut third = served.connect().await;
    ask(&mut third).await;
    is_hung_up_on(&mut second).await;
    ask(&mut first).await;
    served.ends().await;
}

/// The end waits for a call that has begun, and not for a silent connection.
#[tokio::test]
async fn a_call_that_has_begun_is_answered_at_the_end() {
    let (begun, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_begun, wait) = (Arc::clone(&begun), Arc::clone(&proceed));
    let answer = async move || {
        tell_begun.notify_one();
        wait.notified().await;
        "ok"
    };
    let served = Served::start(Router::new().route("/", get(answer))).await;
    let _silent = served.connect().await;
    let mut client = served.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    begun.notified().await;
    served.stop.cancel();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    proceed.notify_one();
    is_answered(&mut client).await;
    served.ends().await;
}
