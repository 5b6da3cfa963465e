//! What came of the requests: how many, how many failed and why, how long they took.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use ebb_sample_app::log::now_ms;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite;

use super::histogram::Histogram;
use super::kind::Kind;

/// How many failures are kept with their moment, to be laid beside the logs of the pods.
const SAMPLES: usize = 50;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No way there: the pod is gone.
    #[error("host unreachable")]
    Unreachable,
    /// No answer to the attempt to connect.
    #[error("connect timed out")]
    ConnectTimedOut,
    /// The connection had ended before anything of the request was sent.
    #[error("closed before the request")]
    NotSent,
    /// The connection was reset after the request was sent.
    #[error("reset after the request")]
    Reset,
    /// The connection was closed after the request was sent, with no answer.
    #[error("closed without an answer")]
    Closed,
    /// The answer began and did not end.
    #[error("answer cut short")]
    CutShort,
    /// The answer did not come in time.
    #[error("answer timed out")]
    TimedOut,
    /// The answer was an error of the server.
    #[error("status {0}")]
    Status(u16),
    /// The server reset the stream, and did not say that it had not begun it.
    #[error("stream reset")]
    StreamReset,
    /// The server said so often that it had not begun the request that it was given up.
    #[error("never begun")]
    NeverBegun,
    /// A call of gRPC ended with another status than OK.
    #[error("gRPC status {0}")]
    GrpcStatus(u16),
    /// A WebSocket ended, properly or not, before it had echoed the message.
    #[error("no echo")]
    NoEcho,
    /// A WebSocket ended without a Close.
    #[error("no Close")]
    NoClose,
    /// A WebSocket was closed for a reason that is none to leave.
    #[error("Close {0}")]
    CloseCode(u16),
    /// What came back is not what was sent.
    #[error("wrong answer")]
    WrongAnswer,
    /// The answer was not HTTP, or the system refused a socket.
    #[error("other")]
    Other,
}

/// What came of the requests of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The same by the kind of client.
    pub kinds: BTreeMap<Kind, Counts>,
    /// Requests that were sent again, as the server said that it had not begun them.
    pub retried: u64,
    /// Connections that were tried.
    pub connections: u64,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// The failures by their reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first failures, each with its moment.
    pub samples: Vec<Sample>,
    latencies: Histogram,
}

/// What came of the requests of one kind of client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// A failure and its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Whose.
    pub kind: Kind,
    /// After how long, in milliseconds.
    pub after_ms: u64,
    /// Why.
    pub reason: String,
}

/// A tally in numbers, as it is printed and reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The same by the kind of client.
    pub kinds: BTreeMap<Kind, Counts>,
    /// Requests that were sent again, as the server said that it had not begun them.
    pub retried: u64,
    /// The failures by their reason.
    pub reasons: BTreeMap<String, u64>,
    /// Half of the requests that succeeded took no longer, in milliseconds.
    pub p50_ms: f64,
    /// Of the requests that succeeded, 99 of 100 took no longer, in milliseconds.
    pub p99_ms: f64,
}

// === impl Tally ===

impl Tally {
    /// Counts a request that took `took`.
    pub fn count(&mut self, kind: Kind, took: Duration, result: Result<(), Failure>) {
        let counts = self.kinds.entry(kind).or_default();
        counts.requests += 1;
        counts.failed += u64::from(result.is_err());
        self.requests += 1;
        let Err(failure) = result else {
            self.latencies.record(took);
            return;
        };
        self.failed += 1;
        *self.reasons.entry(failure.to_string()).or_default() += 1;
        if self.samples.len() < SAMPLES {
            let after_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.samples.push(Sample {
                at: now_ms(),
                kind,
                after_ms,
                reason: failure.to_string(),
            });
        }
    }

    /// The numbers.
    pub fn summary(&self) -> Summary {
        let milliseconds = |share| {
            let duration = self.latencies.quantile(share);
            (duration.as_secs_f64() * 10_000.0).round() / 10.0
        };
        Summary {
            requests: self.requests,
            failed: self.failed,
            kinds: self.kinds.clone(),
            retried: self.retried,
            reasons: self.reasons.clone(),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// The failure of an attempt to connect.
    pub(super) fn of_connect(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::HostUnreachable | Kind::NetworkUnreachable => Self::Unreachable,
            Kind::TimedOut => Self::ConnectTimedOut,
            Kind::ConnectionReset | Kind::ConnectionAborted => Self::NotSent,
            _ => Self::Other,
        }
    }

    /// The failure of a request that may have been sent, or of its answer's head.
    pub(super) fn of_request(error: &hyper::Error) -> Self {
        match io_kind(error) {
            Some(kind) => Self::of_io(kind),
            None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
                Self::Closed
            }
            None => Self::Other,
        }
    }

    /// The failure of a stream, or of a connection before its first one.
    pub(super) fn of_http2(error: &h2::Error) -> Self {
        match error.get_io().map(io::Error::kind) {
            // That is how `h2` says that the connection ended.
            Some(io::ErrorKind::BrokenPipe) => Self::Closed,
            Some(kind) => Self::of_io(kind),
            None if error.is_reset() => Self::StreamReset,
            None => Self::Other,
        }
    }

    /// The failure of a WebSocket: `ended` if its connection ended without a Close.
    pub(super) fn of_web_socket(error: &tungstenite::Error, ended: Self) -> Self {
        use tungstenite::error::ProtocolError as Protocol;
        match error {
            tungstenite::Error::Io(error) => match Self::of_io(error.kind()) {
                Self::Closed | Self::Reset => ended,
                failure => failure,
            },
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Protocol(
                Protocol::ResetWithoutClosingHandshake
                | Protocol::HandshakeIncomplete
                | Protocol::SendAfterClosing,
            ) => ended,
            _ => Self::Other,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        match kind {
            Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::NotConnected => Self::Reset,
            Kind::UnexpectedEof => Self::Closed,
            Kind::HostUnreachable | Kind::NetworkUnreachable => Self::Unreachable,
            Kind::TimedOut => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

/// The kind of the input or output error that is the cause of `error`, if one is.
fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

impl From<super::http2::Broken> for Failure {
    fn from(broken: super::http2::Broken) -> Self {
        match broken {
            super::http2::Broken::NotBegun => Self::NeverBegun,
            super::http2::Broken::Lost(failure) => failure,
        }
    }
}
