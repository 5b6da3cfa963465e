//! HTTP/2 clients that share connections, as a good client behaves when it is told to leave.
//!
//! A GOAWAY ends the use of a connection, not of its open streams: those are read to their end, and
//! the next request goes to a new connection. A request is sent again only if the server has said
//! that it never began it: the GOAWAY's last stream is a lower one, or the stream was reset with
//! REFUSED_STREAM (RFC 9113, section 8.7). Any other request without a whole answer is lost.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::connect::connect;
use super::kind::Kind;
use super::tally::Failure;
use super::{BODY, Run};

/// How often a request is sent whose beginning the server refuses each time.
const ATTEMPTS: usize = 5;

/// The connection that some clients share, and those before it that are not yet done.
#[derive(Default)]
pub(super) struct Shared {
    current: Mutex<Option<SendRequest<Bytes>>>,
    /// Move the connections' bytes. A connection ends by itself when its last stream is done and
    /// nobody keeps a sender of it.
    drivers: RefCell<JoinSet<()>>,
}

/// An attempt that did not come to a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The server never began it, and has said so, or nothing of it was sent.
    NotBegun,
    /// It is lost.
    Lost(Failure),
}

/// A request of which the answer has not begun.
pub(super) struct Asked {
    response: ResponseFuture,
    pub(super) sending: SendStream<Bytes>,
}

/// POSTs one request after the other on the shared connection.
pub(super) async fn client(run: Rc<Run>, shared: Rc<Shared>) {
    while run.take_one() {
        let began = Instant::now();
        let posted = shared.whenever_begun(&run, async |sender| post(&run, sender).await);
        let result = timeout(run.plan.answer_timeout, posted).await;
        let result = result.unwrap_or(Err(Failure::TimedOut));
        run.ended(Kind::Http2, began, result).await;
    }
}

async fn post(run: &Run, sender: SendRequest<Bytes>) -> Result<(), Broken> {
    let body = Bytes::from_static(BODY);
    let mut asked = Asked::ask(run, sender, &run.plan.path, HeaderMap::new())?;
    asked.send(body, true);
    let response = asked.answered().await?;
    let status = response.status();
    let mut body = response.into_body();
    while piece_of(&mut body).await?.is_some() {}
    match status.is_server_error() {
        true => Err(Broken::Lost(Failure::Status(status.as_u16()))),
        false => Ok(()),
    }
}

/// The next piece of an answer's body; none at its end.
pub(super) async fn piece_of(body: &mut RecvStream) -> Result<Option<Bytes>, Broken> {
    let cut_short = |_| Broken::Lost(Failure::CutShort);
    let Some(piece) = body.data().await else {
        return Ok(None);
    };
    let piece = piece.map_err(cut_short)?;
    body.flow_control()
        .release_capacity(piece.len())
        .map_err(cut_short)?;
    Ok(Some(piece))
}

// === impl Shared ===

impl Shared {
    /// Makes an attempt, and again, on a new connection where the old one is to be left, as long as
    /// the server says that it has not begun the last one.
    pub(super) async fn whenever_begun<T>(
        &self,
        run: &Run,
        attempt: impl AsyncFn(SendRequest<Bytes>) -> Result<T, Broken>,
    ) -> Result<T, Failure> {
        for _ in 0..ATTEMPTS {
            let sender = self.sender(run).await?;
            match attempt(sender).await {
                Ok(done) => return Ok(done),
                Err(Broken::Lost(failure)) => return Err(failure),
                Err(Broken::NotBegun) => run.tally.borrow_mut().retried += 1,
            }
        }
        Err(Failure::NeverBegun)
    }

    /// The connection that there is, or a new one if it has ended or is to be left.
    async fn sender(&self, run: &Run) -> Result<SendRequest<Bytes>, Failure> {
        let mut current = self.current.lock().await;
        if let Some(kept) = current.take()
            && let Ok(ready) = kept.ready().await
        {
            *current = Some(ready.clone());
            return Ok(ready);
        }
        let stream = connect(run).await?;
        let (sender, connection) = h2::client::handshake(stream)
            .await
            .map_err(|error| Failure::of_http2(&error))?;
        let mut drivers = self.drivers.borrow_mut();
        while drivers.try_join_next().is_some() {}
        drivers.spawn_local(async move {
            // Its error reaches the streams that it breaks.
            let _ended = connection.await;
        });
        *current = Some(sender.clone());
        Ok(sender)
    }
}

// === impl Asked ===

impl Asked {
    /// Begins a POST.
    pub(super) fn ask(
        run: &Run,
        mut sender: SendRequest<Bytes>,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Self, Broken> {
        let mut request = Request::post(format!("http://{}{path}", run.plan.target))
            .body(())
            .map_err(|_| Broken::Lost(Failure::Other))?;
        *request.headers_mut() = headers;
        // It fails only if the connection is to be left: nothing has been sent.
        let (response, sending) = sender
            .send_request(request, false)
            .map_err(|_| Broken::NotBegun)?;
        Ok(Self { response, sending })
    }

    /// Sends a piece of its body. If the stream has ended already, its answer tells why.
    pub(super) fn send(&mut self, piece: Bytes, last: bool) {
        let _sent = self.sending.send_data(piece, last);
    }

    /// The head of the answer.
    pub(super) async fn answered(&mut self) -> Result<Response<RecvStream>, Broken> {
        let response = &mut self.response;
        response.await.map_err(|error| Broken::of(&error))
    }
}

// === impl Broken ===

impl Broken {
    /// The end of a stream whose answer had not begun.
    fn of(error: &h2::Error) -> Self {
        // To a stream this error is only given if the GOAWAY's last stream is a lower one.
        let behind_the_last = error.is_go_away() && error.is_remote();
        let refused =
            error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
        match behind_the_last || refused {
            true => Self::NotBegun,
            false => Self::Lost(Failure::of_http2(error)),
        }
    }
}
