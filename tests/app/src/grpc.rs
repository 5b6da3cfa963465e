//! gRPC, as far as this application speaks it: messages with their length before them, over HTTP/2,
//! and a status in the trailers ("gRPC over HTTP2" in the documents of gRPC).
//!
//! The application never looks into a message of its own service, so that needs no schema: what
//! comes is what goes back.

mod message;

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Request, Response};

pub use message::{MessageError, Messages, message};

use super::routes::{Body, Routes};

/// The content type of every request and answer.
pub const CONTENT: &str = "application/grpc";

/// The trailer that has the status of a call.
pub const STATUS: &str = "grpc-status";

/// The unary method: answers with the message that came, after the usual delay.
pub const SAY: &str = "/ebb.sample.Echo/Say";

/// The bidirectional stream: answers each message with itself, each after the usual delay.
pub const CHAT: &str = "/ebb.sample.Echo/Chat";

/// What kubelet's gRPC probes call (service `grpc.health.v1.Health`).
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// A `HealthCheckResponse` whose only field, `status`, is SERVING.
const SERVING: &[u8] = &[0x08, 1];

/// The same, NOT_SERVING.
const NOT_SERVING: &[u8] = &[0x08, 2];

/// How a call ended; the numbers are gRPC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok = 0,
    InvalidArgument = 3,
    Unimplemented = 12,
}

/// Whether a request is a call of gRPC.
pub(super) fn is_call(request: &Request<Incoming>) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(CONTENT.as_bytes()))
}

/// Answers a call. The answer begins at once; its status comes with its end.
pub(super) fn answer(routes: &Routes, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let open = routes.open_request(&path);
    let came = messages_of(request.into_body());
    let delay = routes.delay();
    let frames = match path.as_str() {
        SAY => echo(came.take(1), delay).boxed(),
        CHAT => echo(came, delay).boxed(),
        HEALTH => {
            let health = if routes.is_failing() {
                NOT_SERVING
            } else {
                SERVING
            };
            let answered = came.take(1).map(move |came| match came {
                Ok(_) => Frame::data(message(health)),
                Err(_) => end(Status::InvalidArgument),
            });
            answered.chain(last(Status::Ok)).boxed()
        }
        _ => last(Status::Unimplemented).boxed(),
    };
    let frames = frames.map(move |frame| {
        // The request is open as long as its answer is.
        let _ = &open;
        Ok(frame)
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
    response
}

/// Each message of a request's body, until its end or until one can't be read.
fn messages_of(body: Incoming) -> impl Stream<Item = Result<Bytes, MessageError>> + Send + 'static {
    let state = Some((body, Messages::default()));
    stream::unfold(state, |state| async move {
        let (mut body, mut messages) = state?;
        loop {
            match messages.next() {
                Ok(Some(message)) => return Some((Ok(message), Some((body, messages)))),
                Err(error) => return Some((Err(error), None)),
                Ok(None) => {}
            }
            // An error is the client's leave: there is nobody to be answered.
            let frame = body.frame().await?.ok()?;
            if let Ok(piece) = frame.into_data() {
                messages.push(&piece);
            }
        }
    })
}

/// Sends messages back, each after `delay`, and then the status.
fn echo(
    came: impl Stream<Item = Result<Bytes, MessageError>> + Send + 'static,
    delay: Duration,
) -> impl Stream<Item = Frame<Bytes>> + Send + 'static {
    let answered = came.then(move |came| async move {
        match came {
            Ok(content) => {
                tokio::time::sleep(delay).await;
                Frame::data(message(&content))
            }
            Err(_) => end(Status::InvalidArgument),
        }
    });
    answered.chain(last(Status::Ok))
}

fn last(status: Status) -> impl Stream<Item = Frame<Bytes>> + Send + 'static {
    stream::once(std::future::ready(end(status)))
}

fn end(status: Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from(status as u16));
    Frame::trailers(trailers)
}
