//! What came of the requests: how many, how many failed and why, how long they took.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use ebb_sample_app::log::now_ms;

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

/// A failure and its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub at: u64,
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
    pub fn count(&mut self, took: Duration, result: Result<(), Failure>) {
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
