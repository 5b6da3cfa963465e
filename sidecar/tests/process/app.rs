//! An app: HTTP/1 over TCP, as small as it gets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

/// How long the answer to `/big` is: more than a client with a small window takes unread, less than
/// the kernel takes from the relay.
pub(crate) const BIG: usize = 300_000;

/// Answers `/now` and `/big` at once and anything else when it is told to.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    /// The path of every request, as its head is complete.
    pub(crate) requests: mpsc::UnboundedReceiver<String>,
    /// Answers all requests that wait.
    pub(crate) answer: Arc<Notify>,
    task: JoinSet<()>,
}

impl App {
    pub(crate) async fn start() -> App {
        App::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> App {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = mpsc::unbounded_channel();
        let answer = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        let told = answer.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, seen.clone(), told.clone()));
            }
        });
        App {
            address,
            requests,
            answer,
            task,
        }
    }

    /// Ends as a killed process does: its port is closed when this returns.
    pub(crate) async fn kill(&mut self) {
        self.task.shutdown().await;
    }
}

async fn serve(stream: TcpStream, seen: mpsc::UnboundedSender<String>, told: Arc<Notify>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut last = false;
    while !last {
        let Ok(Some(first)) = lines.next_line().await else {
            return;
        };
        while let Ok(Some(line)) = lines.next_line().await {
            if line.is_empty() {
                break;
            }
            last |= line.eq_ignore_ascii_case("connection: close");
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let big = path == "/big";
        let waits = path != "/now" && !big;
        let answered = told.notified();
        let _ = seen.send(path);
        if waits {
            answered.await;
        }
        let body = if big {
            "x".repeat(BIG)
        } else {
            "hello".to_owned()
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
