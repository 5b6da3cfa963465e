//! What the application answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::log::Log;
use super::{Config, grpc};

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How far apart the lines of a stream are.
const STREAM_PERIOD: Duration = Duration::from_millis(100);

/// The longest answer that can be asked for: a bound, so that no typing error holds a pod for days.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where the client of a connection is, as the application sees it. It prints without the mapping
/// of IPv4 into IPv6.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The application's handlers and their state. Clones share the state.
#[derive(Clone)]
pub(super) struct Routes {
    shared: Arc<Shared>,
}

struct Shared {
    pod_name: String,
    delay: Duration,
    log: Log,
    failing: AtomicBool,
    hanging: AtomicBool,
    open: AtomicUsize,
    open_web_sockets: AtomicUsize,
}

/// A request from its arrival to the end of its answer. Logs the end of those that it was told to
/// log, whole or not.
pub(super) struct OpenRequest {
    shared: Arc<Shared>,
    path: String,
    since: Instant,
    logged: bool,
    whole: bool,
}

/// A WebSocket from its first byte to its last.
pub(super) struct OpenWebSocket {
    shared: Arc<Shared>,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        SocketAddr::new(self.0.ip().to_canonical(), self.0.port()).fmt(f)
    }
}

impl Routes {
    pub(super) fn new(config: &Config, log: Log) -> Self {
        Self {
            shared: Arc::new(Shared {
                pod_name: config.pod_name.clone(),
                delay: Duration::from_millis(config.delay_ms),
                log,
                failing: AtomicBool::new(false),
                hanging: AtomicBool::new(false),
                open: AtomicUsize::new(0),
                open_web_sockets: AtomicUsize::new(0),
            }),
        }
    }

    pub(super) fn open_requests(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    pub(super) fn open_web_sockets(&self) -> usize {
        self.shared.open_web_sockets.load(Ordering::Relaxed)
    }

    /// Counts a request as open until what it returns is dropped.
    pub(super) fn open_request(&self, path: &str) -> OpenRequest {
        OpenRequest::new(self.shared.clone(), path.to_owned())
    }

    /// Counts a WebSocket as open until what it returns is dropped.
    pub(super) fn open_web_socket(&self) -> OpenWebSocket {
        let shared = self.shared.clone();
        shared.open_web_sockets.fetch_add(1, Ordering::Relaxed);
        OpenWebSocket { shared }
    }

    /// How long the usual work takes.
    pub(super) fn delay(&self) -> Duration {
        self.shared.delay
    }

    pub(super) fn log(&self) -> &Log {
        &self.shared.log
    }

    pub(super) fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        if grpc::is_call(&request) {
            self.hang_if_asked().await;
            return Ok(grpc::answer(&self, request));
        }
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let mut open = self.open_request(&path);
        self.hang_if_asked().await;
        let failing = self.is_failing();
        let shared = self.shared;
        if body.collect().await.is_err() {
            // The client left in the middle of its request; this answer reaches nobody.
            return Ok(text(StatusCode::BAD_REQUEST, "the body is not whole\n"));
        }
        let duration = seconds(head.uri.query());
        let answer = match (&head.method, path.as_str()) {
            (_, "/") => {
                tokio::time::sleep(shared.delay).await;
                text(StatusCode::OK, format!("hello from {}\n", shared.pod_name))
            }
            (_, "/peer") => {
                let peer = head.extensions.get::<Peer>();
                let peer = peer.map_or_else(|| "unknown".to_owned(), ToString::to_string);
                text(StatusCode::OK, format!("{peer}.\n"))
            }
            (_, "/whoami") => text(StatusCode::OK, format!("{}\n", shared.pod_name)),
            (_, "/slow") => {
                open.logged = true;
                tokio::time::sleep(duration).await;
                open.whole = true;
                text(
                    StatusCode::OK,
                    format!("slow hello from {}\n", shared.pod_name),
                )
            }
            (_, "/stream") => {
                open.logged = true;
                Response::new(lines(duration, open))
            }
            (_, "/healthz") if failing => {
                text(StatusCode::SERVICE_UNAVAILABLE, "failing, as asked\n")
            }
            (_, "/healthz") => text(StatusCode::OK, "ok\n"),
            (&Method::POST, "/fail") => {
                shared.failing.store(true, Ordering::Relaxed);
                text(StatusCode::OK, "from now on /healthz fails\n")
            }
            (&Method::POST, "/hang") => {
                shared.hanging.store(true, Ordering::Relaxed);
                text(StatusCode::OK, "from now on nothing is answered\n")
            }
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        };
        Ok(answer)
    }

    async fn hang_if_asked(&self) {
        if self.shared.hanging.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// A line every 100 ms for `duration`; the last one says so.
fn lines(duration: Duration, open: OpenRequest) -> Body {
    let end = tokio::time::Instant::now() + duration;
    let frames = stream::unfold(Some(open), move |open| async move {
        let mut open = open?;
        let next = tokio::time::Instant::now() + STREAM_PERIOD;
        tokio::time::sleep_until(next.min(end)).await;
        let frame = |line: &'static str| Ok(Frame::data(Bytes::from_static(line.as_bytes())));
        if next < end {
            return Some((frame("more\n"), Some(open)));
        }
        open.whole = true;
        Some((frame("done\n"), None))
    });
    StreamBody::new(Box::pin(frames)).boxed_unsync()
}

/// The value of `seconds` in a query, fractions allowed; 1 if it is missing or no duration.
fn seconds(query: Option<&str>) -> Duration {
    query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("seconds="))
        .and_then(|value| value.parse().ok())
        .and_then(|value| Duration::try_from_secs_f64(value).ok())
        .unwrap_or(Duration::from_secs(1))
        .min(LONGEST)
}

// === impl OpenRequest ===

impl OpenRequest {
    fn new(shared: Arc<Shared>, path: String) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            path,
            since: Instant::now(),
            logged: false,
            whole: false,
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        if self.logged {
            let took_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.shared.log.line(
                "request",
                json!({"path": self.path, "tookMs": took_ms, "whole": self.whole}),
            );
        }
    }
}

// === impl OpenWebSocket ===

impl Drop for OpenWebSocket {
    fn drop(&mut self) {
        self.shared.open_web_sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that a client writes there can panic or hold a pod for ever.
    #[test]
    fn durations_from_outside_are_bounded() {
        assert_eq!(seconds(Some("seconds=20")), Duration::from_secs(20));
        assert_eq!(seconds(Some("a=b&seconds=0.5")), Duration::from_millis(500));
        for odd in [
            None,
            Some(""),
            Some("seconds=-1"),
            Some("seconds=NaN"),
            Some("seconds=x"),
        ] {
            assert_eq!(seconds(odd), Duration::from_secs(1), "{odd:?}");
        }
        assert_eq!(seconds(Some("seconds=1e15")), LONGEST);
    }
}
