//! The sample application in this process, over loopback: what the cluster's suites rely on.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test, its helpers included"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser as _;
use ebb_sample_app::{Config, log::Log};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

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
        let usual = [
            "app",
            "--http",
            "127.0.0.1:0",
            "--echo",
            "127.0.0.1:0",
            "--delay-ms",
            "1",
        ];
        let config = Config::parse_from(usual.iter().chain(options));
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

/// At SIGTERM: new connections are refused, an idle one is closed, the open request is finished, and
/// the log has the order.
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
