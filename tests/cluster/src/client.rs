//! Single connections by hand, for tests that say what happens to one request.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_sample_app::log::now_ms;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to be made on one machine.
const CONNECT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are kept.
const LONGEST: usize = 1 << 20;

/// A connection to an application.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

/// What came back until a mark was seen or the connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// All bytes, as text.
    pub text: String,
    /// When the last byte came, in milliseconds since 1970; when the end came if there was none.
    pub at: u64,
    /// How it ended.
    pub end: End,
}

/// How the reading of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The mark was seen; the connection is still open.
    Mark,
    /// The other side closed.
    Closed,
    /// The other side reset the connection.
    Reset,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = timeout(CONNECT, TcpStream::connect(address))
            .await
            .with_context(|| format!("no connection to {address} within {CONNECT:?}"))?
            .with_context(|| format!("can't connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// This side's address.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// Sends an HTTP/1.1 request without a body, on a connection that is to stay.
    pub async fn request(&mut self, method: &str, path: &str) -> Result<()> {
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: web\r\ncontent-length: 0\r\n\r\n"
        ))
        .await
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &str) -> Result<()> {
        self.stream
            .write_all(bytes.as_bytes())
            .await
            .context("can't send")
    }

    /// Reads until `mark` was seen at the end, or the connection ended.
    ///
    /// # Errors
    ///
    /// Fails if neither happens within `limit`.
    pub async fn read_until(&mut self, mark: &str, limit: Duration) -> Result<Answer> {
        let mut seen = Vec::new();
        let what = format!("waiting for {mark:?}");
        let answer = timeout(limit, self.read_unbounded(mark, &mut seen)).await;
        answer.with_context(|| {
            format!(
                "{what} for {limit:.0?}, got {:?}",
                String::from_utf8_lossy(&seen)
            )
        })?
    }

    async fn read_unbounded(&mut self, mark: &str, seen: &mut Vec<u8>) -> Result<Answer> {
        let mut buffer = vec![0; 16 * 1024];
        let mut at = None;
        loop {
            let end = match self.stream.read(&mut buffer).await {
                Ok(0) => Some(End::Closed),
                Ok(length) => {
                    at = Some(now_ms());
                    seen.extend_from_slice(&buffer[..length]);
                    seen.ends_with(mark.as_bytes()).then_some(End::Mark)
                }
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    Some(End::Reset)
                }
                Err(error) => return Err(error).context("can't read the answer"),
            };
            if let Some(end) = end {
                let text = String::from_utf8_lossy(seen).into_owned();
                return Ok(Answer {
                    text,
                    at: at.unwrap_or_else(now_ms),
                    end,
                });
            }
            if seen.len() > LONGEST {
                bail!("an answer of more than {LONGEST} bytes");
            }
        }
    }
}

/// One request on a connection of its own, and its whole answer.
pub async fn ask(address: SocketAddr, method: &str, path: &str, limit: Duration) -> Result<String> {
    ask_with(address, method, path, &[], "", limit).await
}

/// As [`ask`], with headers and a body.
pub async fn ask_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    limit: Duration,
) -> Result<String> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: web\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut client = Client::connect(address).await?;
    client.send(&head).await?;
    Ok(client.read_until("\0never", limit).await?.text)
}
