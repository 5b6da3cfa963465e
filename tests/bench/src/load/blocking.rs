//! HTTP/1 by one thread that blocks.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read at a time: large, so that the client is not what is measured.
const BUFFER: usize = 256 * 1024;

/// A client's kept connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

// === impl Connection ===

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = connect(address)?;
        Ok(Self { stream })
    }

    /// Asks for a path and reads the whole answer; returns its body's length.
    ///
    /// `buffer` holds at least the answer's head, and is what is read at a time.
    pub fn get(&mut self, path: &str, buffer: &mut [u8]) -> Result<u64> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: app\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let (head, length) = loop {
            let read = self.stream.read(&mut buffer[filled..])?;
            ensure!(read > 0, "the connection ended inside the answer's head");
            filled += read;
            if let Some(head) = head_length(&buffer[..filled]) {
                break (head, body_length(&buffer[..head])?);
            }
        };
        let mut left = length
            .checked_sub((filled - head) as u64)
            .context("more came than the answer")?;
        while left > 0 {
            let read = self.stream.read(buffer)? as u64;
            ensure!(
                read > 0,
                "the connection ended {left} bytes before the answer did"
            );
            left = left
                .checked_sub(read)
                .context("more came than the answer")?;
        }
        Ok(length)
    }
}

/// Connects; whatever is done on the connection later fails rather than wait for ever.
pub fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Fetches a long body again and again until the time is up; returns how many bytes came.
pub fn in_bulk(address: SocketAddr, path: &str, duration: Duration) -> Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut connection = Connection::open(address)?;
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < duration {
        bytes += connection.get(path, &mut buffer)?;
    }
    Ok(bytes)
}

/// The length of an answer's head, with the empty line that ends it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// What a successful answer says about its body's length.
fn body_length(head: &[u8]) -> Result<u64> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        bail!("the answer is {status:?}");
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, value) = length.context("the answer does not say how long it is")?;
    Ok(value.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head ends at the empty line, wherever the body's first bytes end.
    #[test]
    fn a_head_and_its_length_are_found() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nfirst bytes";
        let head = head_length(answer).unwrap();
        assert_eq!(&answer[head..], b"first bytes");
        assert_eq!(body_length(&answer[..head]).unwrap(), 1 << 30);
        assert_eq!(head_length(b"HTTP/1.1 200 OK\r\n"), None);
    }

    /// A proxy that answers an error quickly must not look fast.
    #[test]
    fn an_error_is_no_result() {
        let head = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\n";
        let error = body_length(head).unwrap_err().to_string();
        assert!(error.contains("502"), "{error}");
        assert!(body_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
