//! HTTP/2 with prior knowledge (RFC 9113) by one thread that blocks: just enough to ask for a path,
//! and to hear a goodbye.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::blocking::connect;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What makes the connection's window its greatest, so that no run of ours fills it.
const WINDOW: u32 = (1 << 31) - 1 - 65_535;

/// `:status: 200` in HPACK's static table (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

/// What is read at a time.
const BUFFER: usize = 4096;

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Received,
    next: u32,
}

/// A connection that asks for nothing more.
#[derive(Debug)]
pub struct Leaver {
    stream: tokio::net::TcpStream,
    received: Received,
    last: u32,
}

/// Bytes that came, and are no whole frame yet.
#[derive(Debug, Default)]
struct Received(Vec<u8>);

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

// === impl Connection ===

impl Connection {
    /// Connects, and says what HTTP/2 begins with.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = connect(address)?;
        let mut hello = PREFACE.to_vec();
        hello.extend(frame(SETTINGS, 0, 0, &[]));
        hello.extend(frame(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes()));
        stream.write_all(&hello)?;
        Ok(Self {
            stream,
            received: Received::default(),
            next: 1,
        })
    }

    /// Asks for a path and waits for the whole answer.
    pub fn get(&mut self, path: &str) -> Result<()> {
        let stream = self.next;
        self.next += 2;
        let head = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head(path));
        self.stream.write_all(&head)?;
        loop {
            while let Some(frame) = self.received.next_frame() {
                match frame.kind {
                    SETTINGS if frame.flags & ACK == 0 => {
                        let seen = self::frame(SETTINGS, ACK, 0, &[]);
                        self.stream.write_all(&seen)?;
                    }
                    GOAWAY | RST_STREAM => bail!("instead of an answer came {frame:?}"),
                    HEADERS if !frame.payload.contains(&STATUS_200) => {
                        bail!("the answer is no 200: {frame:?}")
                    }
                    _ => {}
                }
                let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
                if ends && frame.stream == stream {
                    return Ok(());
                }
            }
            let mut buffer = [0; BUFFER];
            let read = self.stream.read(&mut buffer)?;
            ensure!(read > 0, "the connection ended before the answer");
            self.received.0.extend_from_slice(&buffer[..read]);
        }
    }

    /// What hears a goodbye on it. Called inside of a tokio runtime.
    pub fn leaver(self) -> Result<Leaver> {
        self.stream.set_nonblocking(true)?;
        Ok(Leaver {
            stream: tokio::net::TcpStream::from_std(self.stream)?,
            received: self.received,
            last: self.next - 2,
        })
    }
}

// === impl Leaver ===

impl Leaver {
    /// Waits until it is told to leave, and leaves; returns when it was told. Fails if the goodbye
    /// does not leave the last request answered, or if the connection ends without one.
    pub async fn told_to_leave(mut self) -> Result<Instant> {
        loop {
            while let Some(frame) = self.received.next_frame() {
                if frame.kind == PING && frame.flags & ACK == 0 {
                    let answer = self::frame(PING, ACK, 0, &frame.payload);
                    self.stream.write_all(&answer).await?;
                }
                if frame.kind == GOAWAY {
                    let named = frame.payload.first_chunk();
                    ensure!(
                        named.is_some_and(|last| u32::from_be_bytes(*last) >= self.last),
                        "a stream before {} is the last one in {frame:?}",
                        self.last
                    );
                    return Ok(Instant::now());
                }
            }
            let mut buffer = [0; 256];
            let read = self.stream.read(&mut buffer).await?;
            ensure!(read > 0, "the connection ended without a goodbye");
            self.received.0.extend_from_slice(&buffer[..read]);
        }
    }
}

// === impl Received ===

impl Received {
    /// Takes the first frame out, if all of it is there.
    fn next_frame(&mut self) -> Option<Frame> {
        let (header, rest) = self.0.split_first_chunk::<9>()?;
        let [a, b, c, kind, flags, stream @ ..] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = rest.get(..length)?.to_vec();
        self.0.drain(..9 + length);
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// GET, http and a path that is not in the static table; an authority as a plain literal.
fn head(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
    block.extend(path.bytes());
    block.extend([0x01, 3]);
    block.extend(b"app");
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames are found however the bytes are cut.
    #[test]
    fn frames_are_taken_out_whole() {
        let mut bytes = frame(SETTINGS, ACK, 0, &[]);
        bytes.extend(frame(DATA, END_STREAM, 3, b"body"));
        let mut received = Received::default();
        let mut found = Vec::new();
        for byte in bytes {
            received.0.push(byte);
            found.extend(received.next_frame());
        }
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].flags), (SETTINGS, ACK));
        assert_eq!((found[1].stream, &found[1].payload[..]), (3, &b"body"[..]));
        assert_eq!(received.next_frame(), None);
    }
}
