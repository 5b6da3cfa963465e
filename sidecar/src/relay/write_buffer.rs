//! The write buffer of a socket: what one side has sent and the other has not taken.

use crate::memory::heap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// Bytes that wait for a socket. Bounded by not reading the other side while there are any; no
/// memory is held while there are none.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    bytes: Vec<u8>,
    written: usize,
}

impl WriteBuffer {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Adds bytes after those that wait.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let before = self.bytes.capacity();
        self.bytes.extend_from_slice(bytes);
        heap::resized(before, self.bytes.capacity());
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        *self = WriteBuffer::default();
    }

    /// Writes what waits; ready when there is nothing left.
    pub(crate) fn flush(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            self.written += ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
        }
        if !self.bytes.is_empty() {
            self.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes `bytes` after what waits, and keeps what the socket does not take. Nothing may wait.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match Pin::new(&mut *stream).poll_write(context, rest)? {
                Poll::Ready(written) => rest = &rest[written..],
                Poll::Pending => {
                    self.push(rest);
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        heap::resized(self.bytes.capacity(), 0);
    }
}
