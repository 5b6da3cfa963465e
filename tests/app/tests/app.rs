//! The sample application in this process, over loopback: what the cluster's suites rely on.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test, its helpers included"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser as _;
use ebb_sample_app::grpc::{self, Messages};
use ebb_sample_app::{Config, log::Log};
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

struct Running {
    http: SocketAddr,
    echo: SocketAddr,
    lines: Lines,
    sigterm: Option<oneshot::Sender<()>>,
    task: JoinSet<()>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Running {
    async fn start(options: &[&str]) -> Self {
        let usual = ["app", "--http", "127.0.0.1:0", "--echo", "127.0.0.1:0"];
        let quick: &[&str] = if options.contains(&"--delay-ms") {
            &[]
        } else {
            &["--delay-ms", "1"]
        };
        let config = Config::parse_from(usual.iter().chain(quick).chain(options));
        let lines = Lines::default();
        let bound = config.bind(Log::to(lines.clone())).await.unwrap();
        let (http, echo) = (
            bound.http_addresses().unwrap()[0],
            bound.echo_addresses().unwrap()[0],
        );
        let (sigterm, terminated) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(bound.serve(async move {
            let _sender_may_be_gone = terminated.await;
        }));
        Self {
            http,
            echo,
            lines,
            sigterm: Some(sigterm),
            task,
        }
    }

    fn send_sigterm(&mut self) {
        self.sigterm.take().unwrap().send(()).unwrap();
    }

    async fn ends(&mut self) {
        timeout(SOON, self.task.join_next())
            .await
            .expect("the application did not end")
            .unwrap()
            .unwrap();
    }

    fn events(&self) -> Vec<Value> {
        let bytes = self.lines.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits until an event was logged so often, and returns the last of them.
    async fn logged(&self, name: &str, count: usize) -> Value {
        loop {
            let events = self.events();
            let mut found = events.into_iter().filter(|event| event["event"] == name);
            if let Some(event) = found.nth(count - 1) {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn event(&self, name: &str) -> Option<Value> {
        self.events()
            .into_iter()
            .find(|event| event["event"] == name)
    }
}

async fn send(address: SocketAddr, method: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: app\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until `end` was seen, or the connection ended.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let length = timeout(SOON, stream.read(&mut buffer))
            .await
            .expect("no byte came")
            .unwrap_or(0);
        seen.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&seen);
        if length == 0 || text.ends_with(end) {
            return text.into_owned();
        }
    }
}

async fn web_socket(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let asked = tokio_tungstenite::client_async(format!("ws://{address}/echo"), stream);
    timeout(SOON, asked).await.unwrap().unwrap().0
}

async fn heard(socket: &mut WebSocketStream<TcpStream>) -> Option<Message> {
    timeout(SOON, socket.next())
        .await
        .expect("no message came")
        .transpose()
        .unwrap_or(None)
}

/// An HTTP/2 connection, which `tasks` moves.
async fn http2(address: SocketAddr, tasks: &mut JoinSet<()>) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tasks.spawn(async move { connection.await.unwrap() });
    sender
}

fn call_of(method: &str, messages: &[&[u8]]) -> Request<Full<Bytes>> {
    let body: Vec<u8> = messages
        .iter()
        .flat_map(|content| grpc::message(content))
        .collect();
    Request::post(format!("http://app{method}"))
        .header("content-type", grpc::CONTENT)
        .header("te", "trailers")
        .body(Full::from(body))
        .unwrap()
}

/// Calls a method with messages; returns those of the answer, and its status.
async fn call(
    sender: &mut SendRequest<Full<Bytes>>,
    method: &str,
    messages: &[&[u8]],
) -> (Vec<Bytes>, String) {
    let response = timeout(SOON, sender.send_request(call_of(method, messages)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let answer = response.into_body().collect().await.unwrap();
    let status = answer.trailers().unwrap()[grpc::STATUS]
        .to_str()
        .unwrap()
        .to_owned();
    let mut found = Messages::default();
    found.push(&answer.to_bytes());
    let answers = std::iter::from_fn(|| found.next().unwrap()).collect();
    (answers, status)
}

/// Work, a stream and the echo port answer.
#[tokio::test]
async fn it_answers() {
    let app = Running::start(&["--pod-name", "web-1"]).await;
    let hello = read_until(&mut send(app.http, "POST", "/").await, "hello from web-1\n").await;
    assert!(hello.starts_with("HTTP/1.1 200 OK"), "{hello}");
    let stream = read_until(
        &mut send(app.http, "GET", "/stream?seconds=0.3").await,
        "\r\n0\r\n\r\n",
    )
    .await;
    assert!(
        stream.contains("more\n") && stream.contains("done\n"),
        "{stream}"
    );
    let mut echo = TcpStream::connect(app.echo).await.unwrap();
    echo.write_all(b"ping").await.unwrap();
    assert_eq!(read_until(&mut echo, "ping").await, "ping");
}

/// At SIGTERM: new connections are refused, an idle one is closed, the open request is finished,
/// and the log has the order.
#[tokio::test]
async fn it_finishes_what_it_has_begun() {
    let mut app = Running::start(&[]).await;
    let mut idle = send(app.http, "GET", "/").await;
    read_until(&mut idle, "hello from sample\n").await;
    let mut open = send(app.http, "GET", "/stream?seconds=1").await;
    let mut first = [0; 1];
    open.read_exact(&mut first).await.unwrap();

    app.send_sigterm();
    assert_eq!(
        read_until(&mut idle, "\n").await,
        "",
        "the idle connection was not closed"
    );
    assert!(
        TcpStream::connect(app.http).await.is_err(),
        "it still accepts"
    );
    assert!(
        read_until(&mut open, "\r\n0\r\n\r\n")
            .await
            .contains("done\n")
    );
    app.ends().await;

    let at = |name| app.event(name).unwrap()["at"].as_u64().unwrap();
    assert!(at("sigterm") <= at("request") && at("request") <= at("exit"));
    assert_eq!(app.event("sigterm").unwrap()["openRequests"], 1);
    assert_eq!(app.event("request").unwrap()["whole"], true);
}

/// `abrupt` cuts what is open, and the log says that it was not whole.
#[tokio::test]
async fn it_can_be_abrupt() {
    let mut app = Running::start(&["--at-sigterm", "abrupt"]).await;
    let mut open = send(app.http, "GET", "/stream?seconds=60").await;
    let mut first = [0; 1];
    open.read_exact(&mut first).await.unwrap();
    app.send_sigterm();
    app.ends().await;
    assert!(!read_until(&mut open, "done\n").await.contains("done"));
    assert_eq!(app.event("exit").unwrap()["openRequests"], 1);
}

/// A failing and a hanging application look like one to kubelet.
#[tokio::test]
async fn it_can_fail_and_hang() {
    let app = Running::start(&[]).await;
    read_until(&mut send(app.http, "POST", "/fail").await, "fails\n").await;
    let health = read_until(&mut send(app.http, "GET", "/healthz").await, "asked\n").await;
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    read_until(&mut send(app.http, "POST", "/hang").await, "answered\n").await;
    let mut hung = send(app.http, "GET", "/healthz").await;
    let answer = timeout(Duration::from_millis(300), hung.read_u8()).await;
    assert!(answer.is_err(), "a hung application answered");
}

/// HTTP/2 with prior knowledge, gRPC calls and streams share the port with HTTP/1.
#[tokio::test]
async fn it_speaks_http2_and_grpc() {
    let app = Running::start(&["--pod-name", "web-1"]).await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(app.http, &mut tasks).await;
    let request = Request::post("http://app/").body(Full::from("{}")).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello from web-1\n");

    let (answers, status) = call(&mut sender, grpc::SAY, &[b"one"]).await;
    assert_eq!((answers, status.as_str()), (vec![Bytes::from("one")], "0"));
    let (answers, status) = call(&mut sender, grpc::CHAT, &[b"one", b"", b"three"]).await;
    assert_eq!(answers, ["one", "", "three"]);
    assert_eq!(status, "0");
    let (answers, status) = call(&mut sender, "/ebb.sample.Echo/None", &[b"one"]).await;
    assert_eq!((answers.len(), status.as_str()), (0, "12"));
}

/// The health service answers kubelet's gRPC probes with SERVING, and NOT_SERVING once it fails.
#[tokio::test]
async fn its_health_can_be_probed_by_grpc() {
    let app = Running::start(&[]).await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(app.http, &mut tasks).await;
    let health = "/grpc.health.v1.Health/Check";
    let (answers, status) = call(&mut sender, health, &[b""]).await;
    assert_eq!(
        (answers, status.as_str()),
        (vec![Bytes::from_static(&[8, 1])], "0")
    );
    read_until(&mut send(app.http, "POST", "/fail").await, "fails\n").await;
    let (answers, _) = call(&mut sender, health, &[b""]).await;
    assert_eq!(answers, [Bytes::from_static(&[8, 2])]);
}

/// At SIGTERM an HTTP/2 connection is told by GOAWAY, and its open stream finished: the client's
/// connection ends without an error.
#[tokio::test]
async fn it_finishes_http2_streams() {
    let mut app = Running::start(&["--delay-ms", "300"]).await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(app.http, &mut tasks).await;
    // The head of the answer comes at once, the message after the delay.
    let response = sender
        .send_request(call_of(grpc::CHAT, &[b"one"]))
        .await
        .unwrap();
    app.send_sigterm();
    let answer = timeout(SOON, response.into_body().collect())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.trailers().unwrap()[grpc::STATUS], "0");
    assert_eq!(answer.to_bytes(), grpc::message(b"one"));
    app.ends().await;
    timeout(SOON, tasks.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

/// A WebSocket echoes, and the log tells one that ended with a Close from one that did not.
#[tokio::test]
async fn it_echoes_on_a_web_socket() {
    let app = Running::start(&[]).await;
    let mut socket = web_socket(app.http).await;
    socket.send(Message::text("ping")).await.unwrap();
    assert_eq!(heard(&mut socket).await, Some(Message::text("ping")));
    let away = CloseFrame {
        code: 1001.into(),
        reason: "".into(),
    };
    socket.close(Some(away)).await.unwrap();
    assert!(matches!(heard(&mut socket).await, Some(Message::Close(_))));
    assert_eq!(heard(&mut socket).await, None);
    let ended = timeout(SOON, app.logged("webSocket", 1))
        .await
        .expect("its end is not logged");
    assert_eq!(
        (&ended["messages"], &ended["code"]),
        (&1.into(), &1001.into())
    );

    drop(web_socket(app.http).await);
    let ended = timeout(SOON, app.logged("webSocket", 2))
        .await
        .expect("its end is not logged");
    assert_eq!(ended["code"], 1006);
}

/// At SIGTERM WebSockets are dropped without a Close, as most applications do.
#[tokio::test]
async fn it_drops_web_sockets_at_sigterm() {
    let mut app = Running::start(&[]).await;
    let mut socket = web_socket(app.http).await;
    socket.send(Message::text("ping")).await.unwrap();
    assert_eq!(heard(&mut socket).await, Some(Message::text("ping")));
    app.send_sigterm();
    let end = timeout(SOON, socket.next())
        .await
        .expect("it is still open");
    assert!(matches!(end, Some(Err(_))), "{end:?}");
    app.ends().await;
    assert_eq!(app.event("sigterm").unwrap()["openWebSockets"], 1);
    assert_eq!(app.event("webSocket").unwrap()["code"], 1006);
}
