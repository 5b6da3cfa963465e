//! gRPC clients: unary calls, and bidirectional streams that are ended and opened again.
//!
//! They share HTTP/2 connections and send a call again only where [`super::http2`] may, as gRPC's
//! own libraries do. A stream carries some messages, each of which is to be answered before the
//! next one, is half-closed, and must end with the status OK. Whatever ends it before is a loss.

use std::rc::Rc;

use bytes::Bytes;
use ebb_sample_app::grpc::{self, Messages};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout};

use super::Run;
use super::http2::{Asked, Broken, Shared, piece_of};
use super::kind::Kind;
use super::tally::Failure;

/// How many messages a stream carries: about a second of them, so that it is open when its pod
/// leaves, and ends before anybody's patience does.
const MESSAGES: u64 = 20;

/// An open bidirectional stream.
struct Chat {
    sending: SendStream<Bytes>,
    answer: Answer,
    messages: u64,
}

/// What comes back on a call.
struct Answer {
    /// A status in the head, where nothing else comes.
    head: HeaderMap,
    body: RecvStream,
    messages: Messages,
}

/// Makes one unary call after the other.
pub(super) async fn call_client(run: Rc<Run>, shared: Rc<Shared>) {
    let mut number = 0;
    while run.take_one() {
        number += 1;
        let began = Instant::now();
        let called = shared.whenever_begun(&run, async |sender| call(&run, sender, number).await);
        let result = timeout(run.plan.answer_timeout, called).await;
        let result = result.unwrap_or(Err(Failure::TimedOut));
        run.ended(Kind::GrpcCall, began, result).await;
    }
}

/// Sends one message after the other on streams.
pub(super) async fn stream_client(run: Rc<Run>, shared: Rc<Shared>) {
    let mut open = None;
    while run.take_one() {
        let began = Instant::now();
        let said = timeout(run.plan.answer_timeout, say(&run, &shared, open.take())).await;
        let result = said
            .unwrap_or(Err(Failure::TimedOut))
            .map(|still_open| open = still_open);
        run.ended(Kind::GrpcStream, began, result).await;
    }
    if let Some(chat) = open {
        let began = Instant::now();
        let ended = timeout(run.plan.answer_timeout, chat.end()).await;
        if let Err(failure) = ended.unwrap_or(Err(Failure::TimedOut)) {
            run.ended(Kind::GrpcStream, began, Err(failure)).await;
        }
    }
}

async fn call(run: &Run, sender: SendRequest<Bytes>, number: u64) -> Result<(), Broken> {
    let mut asked = Asked::ask(run, sender, grpc::SAY, headers())?;
    let content = number.to_string();
    asked.send(grpc::message(content.as_bytes()), true);
    let mut answer = Answer::of(&mut asked).await?;
    answer.expect(&content).await?;
    answer.end().await
}

/// One message on the open stream, or on a new one. Returns the stream if it stays open.
async fn say(run: &Run, shared: &Shared, open: Option<Chat>) -> Result<Option<Chat>, Failure> {
    let chat = match open {
        Some(mut chat) => {
            chat.say().await?;
            chat
        }
        None => {
            shared
                .whenever_begun(run, async |sender| Chat::begin(run, sender).await)
                .await?
        }
    };
    if chat.messages < MESSAGES {
        return Ok(Some(chat));
    }
    chat.end().await?;
    Ok(None)
}

fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(grpc::CONTENT)),
        (TE, HeaderValue::from_static("trailers")),
    ])
}

// === impl Chat ===

impl Chat {
    /// Opens a stream with its first message.
    async fn begin(run: &Run, sender: SendRequest<Bytes>) -> Result<Self, Broken> {
        let mut asked = Asked::ask(run, sender, grpc::CHAT, headers())?;
        asked.send(grpc::message(b"1"), false);
        let mut answer = Answer::of(&mut asked).await?;
        answer.expect("1").await?;
        Ok(Self {
            sending: asked.sending,
            answer,
            messages: 1,
        })
    }

    async fn say(&mut self) -> Result<(), Failure> {
        self.messages += 1;
        let content = self.messages.to_string();
        self.send(grpc::message(content.as_bytes()), false)?;
        Ok(self.answer.expect(&content).await?)
    }

    async fn end(mut self) -> Result<(), Failure> {
        self.send(Bytes::new(), true)?;
        Ok(self.answer.end().await?)
    }

    fn send(&mut self, piece: Bytes, last: bool) -> Result<(), Failure> {
        let sent = self.sending.send_data(piece, last);
        sent.map_err(|_| Failure::CutShort)
    }
}

// === impl Answer ===

impl Answer {
    async fn of(asked: &mut Asked) -> Result<Self, Broken> {
        let (head, body) = asked.answered().await?.into_parts();
        match head.status {
            StatusCode::OK => Ok(Self {
                head: head.headers,
                body,
                messages: Messages::default(),
            }),
            status => Err(Broken::Lost(Failure::Status(status.as_u16()))),
        }
    }

    /// Reads the next message, which must be `content`.
    async fn expect(&mut self, content: &str) -> Result<(), Broken> {
        loop {
            let message = self.messages.next();
            match message.map_err(|_| Broken::Lost(Failure::WrongAnswer))? {
                Some(message) if message == content.as_bytes() => return Ok(()),
                Some(_) => return Err(Broken::Lost(Failure::WrongAnswer)),
                None => {}
            }
            match piece_of(&mut self.body).await? {
                Some(piece) => self.messages.push(&piece),
                // The status says why there is no message; OK would be none.
                None => {
                    return Err(self
                        .end()
                        .await
                        .err()
                        .unwrap_or(Broken::Lost(Failure::WrongAnswer)));
                }
            }
        }
    }

    /// Reads to the end, which must be the status OK.
    async fn end(&mut self) -> Result<(), Broken> {
        while piece_of(&mut self.body).await?.is_some() {}
        let trailers = self.body.trailers().await;
        let trailers = trailers.map_err(|_| Broken::Lost(Failure::CutShort))?;
        let trailers = trailers.as_ref().unwrap_or(&self.head);
        let status = trailers.get(grpc::STATUS).map(HeaderValue::as_bytes);
        match status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()) {
            Some(0) => Ok(()),
            Some(status) => Err(Broken::Lost(Failure::GrpcStatus(status))),
            None => Err(Broken::Lost(Failure::CutShort)),
        }
    }
}
