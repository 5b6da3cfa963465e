//! `GET /v1/status`: what the sidecar says about itself, once or as a stream of lines (NDJSON).
//!
//! The stream tells a change of phase, of the reason or of what is in force at once, the numbers of
//! a drain once a second, and otherwise repeats itself often enough for a reader to notice that the
//! other side is gone.

use super::eviction::Pinned;
use super::response::{encode, json, sentence, with_body};
use super::{Admin, Body, Client};
use crate::lifecycle::{Message, Published};
use bytes::Bytes;
use ebb_api::phase::Phase;
use ebb_api::report::Report;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use hyper::{Response, StatusCode};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Streams at a time.
pub(super) const STREAMS: usize = 64;

/// How often the numbers are written while the pod leaves.
const NUMBERS: Duration = Duration::from_secs(1);

/// How often they are written otherwise.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

pub(super) async fn serve(admin: &Admin, query: Option<&str>, client: &Client) -> Response<Body> {
    let unavailable = || {
        sentence(
            StatusCode::SERVICE_UNAVAILABLE,
            "the sidecar is about to end",
        )
    };
    let watch = query.is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    if !watch {
        return match ask(&admin.lifecycle).await {
            Some(report) => json(StatusCode::OK, &report),
            None => unavailable(),
        };
    }
    let Ok(permit) = admin.streams.clone().try_acquire_owned() else {
        return sentence(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many readers follow this sidecar's status already",
        );
    };
    let (lines, receiver) = mpsc::channel(1);
    let lifecycle = admin.lifecycle.clone();
    let published = admin.published.clone();
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        follow(lifecycle, published, lines).await;
        drop(permit);
    });
    let stream = Stream {
        lines: receiver,
        _writer: writer,
        _pinned: client.slot.pin(),
    };
    with_body(
        StatusCode::OK,
        "application/x-ndjson",
        stream.boxed_unsync(),
    )
}

async fn ask(lifecycle: &mpsc::Sender<Message>) -> Option<Report> {
    let (answer, report) = oneshot::channel();
    lifecycle.send(Message::Report { answer }).await.ok()?;
    report.await.ok()
}

/// Writes lines until the reader or the lifecycle is gone. A slow reader gets fewer lines, never
/// old ones: each is made when there is room for it.
async fn follow(
    lifecycle: mpsc::Sender<Message>,
    mut published: watch::Receiver<Published>,
    lines: mpsc::Sender<Bytes>,
) {
    loop {
        let Ok(room) = lines.reserve().await else {
            return;
        };
        let version = published.borrow_and_update().version;
        let Some(report) = ask(&lifecycle).await else {
            return;
        };
        let interval = match report.phase {
            Phase::Serving => SIGN_OF_LIFE,
            Phase::Deregistering | Phase::Draining | Phase::Ended => NUMBERS,
        };
        let mut line = encode(&report);
        line.push(b'\n');
        room.send(line.into());
        let news = published.wait_for(|published| published.version != version);
        tokio::select! {
            news = news => if news.is_err() {
                return;
            },
            () = tokio::time::sleep(interval) => {}
            () = lines.closed() => return,
        }
    }
}

/// The body of a stream; dropping it ends its writer.
struct Stream {
    lines: mpsc::Receiver<Bytes>,
    _writer: JoinSet<()>,
    _pinned: Pinned,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.lines.poll_recv(context);
        line.map(|line| line.map(|line| Ok(Frame::data(line))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
