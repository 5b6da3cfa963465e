//! HTTP/2: what a GOAWAY takes back is sent again, and all else without an answer is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ebb_load::kind::{Kind, Mix};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{assert_all_failed, assert_counted, tally_of};

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_HEADERS: u8 = 4;

/// A request of which the server decides the end.
pub(crate) type Asked = (Request<RecvStream>, SendResponse<Bytes>);

/// Serves each request as `answer` does, until the client leaves.
pub(crate) async fn serve(stream: TcpStream, answer: fn(Asked)) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok(asked)) = connection.accept().await {
        answer(asked);
    }
}

fn good((_, mut response): Asked) {
    let mut body = response.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"ok"), true).unwrap();
}

/// A server by hand, for what a good library never says.
pub(crate) struct Frames(TcpStream);

impl Frames {
    pub(crate) async fn accept(mut stream: TcpStream) -> Self {
        let mut preface = [0; PREFACE];
        stream.read_exact(&mut preface).await.unwrap();
        let mut frames = Self(stream);
        frames.frame(SETTINGS, 0, 0, &[]).await;
        frames
    }

    /// Reads until this number of streams has begun; returns their numbers if the client stays
    /// until then.
    pub(crate) async fn begun(&mut self, wanted: usize) -> Option<Vec<u32>> {
        let mut streams = Vec::new();
        while streams.len() < wanted {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, _, stream @ ..] = head;
            let mut content = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut content).await.ok()?;
            if kind == HEADERS {
                streams.push(u32::from_be_bytes(stream));
            }
        }
        Some(streams)
    }

    /// Answers with status 200 and a piece of the body, which is not all of it.
    pub(crate) async fn answer_half(&mut self, stream: u32, piece: &[u8]) {
        // `:status: 200` is a single entry of the table that every connection begins with (RFC
        // 7541, appendix A).
        self.frame(HEADERS, END_HEADERS, stream, &[0x88]).await;
        self.frame(DATA, 0, stream, piece).await;
    }

    async fn go_away(&mut self, last: u32) {
        let mut content = [0; 8];
        content[..4].copy_from_slice(&last.to_be_bytes());
        self.frame(GO_AWAY, 0, 0, &content).await;
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, content: &[u8]) {
        let [_, a, b, c] = u32::try_from(content.len()).unwrap().to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(content);
        self.0.write_all(&frame).await.unwrap();
    }

    /// Reads until the client has closed, so that nothing that it sent makes our close a reset.
    pub(crate) async fn end(mut self) {
        self.0.shutdown().await.unwrap();
        while self
            .0
            .read(&mut [0; 1024])
            .await
            .is_ok_and(|length| length > 0)
        {}
    }
}

/// A connection on which the server says GOAWAY is left, and its open streams are read to the end:
/// nothing has failed.
#[tokio::test]
async fn an_announced_end_is_no_failure() {
    async fn says_goodbye(stream: TcpStream) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut served = 0;
        while let Some(Ok(asked)) = connection.accept().await {
            good(asked);
            served += 1;
            if served == 10 {
                connection.graceful_shutdown();
            }
        }
    }
    let tally = tally_of(Kind::Http2, 100, says_goodbye).await;
    assert_counted(&tally, 100, 0);
    assert!(
        (2..=10).contains(&tally.connections),
        "{}",
        tally.connections
    );
}

/// What a GOAWAY names as never begun is sent again on a new connection, and counted as such.
#[tokio::test]
async fn what_was_never_begun_is_sent_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let tally = tally_of(Kind::Http2, 20, move |stream| {
        let first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if !first {
                return serve(stream, good).await;
            }
            let mut frames = Frames::accept(stream).await;
            frames.begun(Mix::STREAMS).await.unwrap();
            frames.go_away(0).await;
            frames.end().await;
        }
    })
    .await;
    assert_counted(&tally, 20, 0);
    assert_eq!((tally.retried, tally.connections), (Mix::STREAMS as u64, 2));
}

/// A stream that a GOAWAY leaves to be answered, and that is not, is lost: it may have run.
#[tokio::test]
async fn a_stream_that_may_have_begun_is_not_sent_again() {
    async fn serve(stream: TcpStream) {
        let mut frames = Frames::accept(stream).await;
        if let Some(streams) = frames.begun(Mix::STREAMS).await {
            frames.go_away(streams[Mix::STREAMS - 1]).await;
        }
        frames.end().await;
    }
    let tally = tally_of(Kind::Http2, 8, serve).await;
    assert_all_failed(&tally, 8, "closed without an answer");
    assert_eq!(tally.retried, 0);
}

/// An end without any GOAWAY loses what is open.
#[tokio::test]
async fn an_end_without_a_goodbye_is_a_failure() {
    async fn serve(stream: TcpStream) {
        let mut frames = Frames::accept(stream).await;
        frames.begun(Mix::STREAMS).await;
        frames.end().await;
    }
    assert_all_failed(
        &tally_of(Kind::Http2, 8, serve).await,
        8,
        "closed without an answer",
    );
}

/// A connection that is taken and closed at once lost its requests, too.
#[tokio::test]
async fn a_connection_closed_at_once_is_a_failure() {
    async fn serve(stream: TcpStream) {
        drop(stream);
    }
    let tally = tally_of(Kind::Http2, 8, serve).await;
    assert_counted(&tally, 8, 8);
}

/// A stream that the server resets is lost, unless it says that it never began it; and if it says
/// so each time, it is given up.
#[tokio::test]
async fn resets_are_failures() {
    let canceled = tally_of(Kind::Http2, 8, |stream| {
        serve(stream, |(_, mut response)| {
            response.send_reset(Reason::CANCEL)
        })
    });
    assert_all_failed(&canceled.await, 8, "stream reset");
    let refused = tally_of(Kind::Http2, 8, |stream| {
        serve(stream, |(_, mut response)| {
            response.send_reset(Reason::REFUSED_STREAM)
        })
    });
    let refused = refused.await;
    assert_all_failed(&refused, 8, "never begun");
    assert_eq!(refused.retried, 8 * 5);
}

/// Half an answer is no answer.
#[tokio::test]
async fn half_an_answer_is_a_failure() {
    async fn serve(stream: TcpStream) {
        let mut frames = Frames::accept(stream).await;
        for stream in frames.begun(Mix::STREAMS).await.unwrap_or_default() {
            frames.answer_half(stream, b"o").await;
        }
        frames.end().await;
    }
    assert_all_failed(
        &tally_of(Kind::Http2, 8, serve).await,
        8,
        "answer cut short",
    );
}

/// An error of the server is a failure with its number.
#[tokio::test]
async fn an_error_status_is_a_failure() {
    let tally = tally_of(Kind::Http2, 8, |stream| {
        serve(stream, |(_, mut response)| {
            let mut head = Response::new(());
            *head.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.send_response(head, true).unwrap();
        })
    });
    assert_all_failed(&tally.await, 8, "status 503");
}

/// An answer that does not come is a failure after the plan's time.
#[tokio::test]
async fn no_answer_is_a_failure() {
    async fn serve(stream: TcpStream) {
        let mut frames = Frames::accept(stream).await;
        frames.begun(usize::MAX).await;
    }
    assert_all_failed(
        &tally_of(Kind::Http2, 4, serve).await,
        4,
        "answer timed out",
    );
}
