//! The admin port of one sidecar, as a client sees it.
//!
//! A connection per call: there are many sidecars, and each is spoken to a few times in its life.

use bytes::{Bytes, BytesMut};
use ebb_api::names::{KEY_HEADER, SIGNATURE_HEADER};
use ebb_api::report::Report;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a sidecar may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a whole call may take. A sidecar answers in a millisecond; the limit leaves room for a
/// node that is starved of CPU.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a watched sidecar may be silent. It sends a report every second.
const SILENCE: Duration = Duration::from_secs(30);

/// The most that is read of one answer or one line, in bytes. A report has a few hundred.
const LONGEST: usize = 64 * 1024;

/// One sidecar.
#[derive(Clone, Copy, Debug)]
pub struct Sidecar {
    address: SocketAddr,
}

/// A sidecar's stream of states.
#[derive(Debug)]
pub struct Watching {
    sidecar: Sidecar,
    body: Incoming,
    line: BytesMut,
    /// Ends with the stream.
    _driver: Driver,
}

/// Drives a connection, for as long as somebody holds it.
type Driver = JoinSet<()>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// No answer in time.
    #[error("no answer from {address} within {} s", within.as_secs())]
    Timeout {
        /// From whom.
        address: SocketAddr,
        /// How long it was waited for.
        within: Duration,
    },
    /// The connection broke, or did not speak HTTP.
    #[error("the connection to {address} failed: {source}")]
    Broken {
        /// With whom.
        address: SocketAddr,
        /// How.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that no sidecar gives.
    #[error("{address} does not answer as a sidecar does: {what}")]
    Strange {
        /// Who.
        address: SocketAddr,
        /// What is wrong with its answer.
        what: String,
    },
}

impl Sidecar {
    /// The sidecar whose admin port is there.
    pub fn at(address: SocketAddr) -> Sidecar {
        Sidecar { address }
    }

    /// Asks for its state.
    ///
    /// # Errors
    ///
    /// Fails if it can't be reached, or its answer is none of a sidecar.
    pub async fn status(&self) -> Result<Report, CallError> {
        let request = self.request("GET", "/v1/status", Bytes::new());
        let (status, body) = self.call(request).await?;
        if status != StatusCode::OK {
            return Err(self.strange(format!("status {status}")));
        }
        serde_json::from_slice(&body).map_err(|error| self.strange(error.to_string()))
    }

    /// Puts a signed desired state; the answer's status and body are the caller's to read.
    ///
    /// # Errors
    ///
    /// Fails if there is no answer.
    pub async fn put_desired(
        &self,
        key: &str,
        signature: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let mut request = self.request("PUT", "/v1/desired", body);
        for (name, value) in [(KEY_HEADER, key), (SIGNATURE_HEADER, signature)] {
            let value = header::HeaderValue::from_str(value)
                .map_err(|error| self.strange(format!("{name} can't be sent: {error}")))?;
            request.headers_mut().insert(name, value);
        }
        self.call(request).await
    }

    /// Opens its stream of states.
    ///
    /// # Errors
    ///
    /// Fails if the stream can't be had.
    pub async fn watch(&self) -> Result<Watching, CallError> {
        let request = self.request("GET", "/v1/status?watch=true", Bytes::new());
        let (response, driver) = self.within(CALL_TIMEOUT, self.open(request)).await??;
        if response.status() != StatusCode::OK {
            return Err(self.strange(format!("status {}", response.status())));
        }
        Ok(Watching {
            sidecar: *self,
            body: response.into_body(),
            line: BytesMut::new(),
            _driver: driver,
        })
    }

    fn request(&self, method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("method, path and an address make a request")
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), CallError> {
        let whole = async {
            let (response, _driver) = self.open(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            let body = body.map_err(|source| CallError::Broken {
                address: self.address,
                source,
            })?;
            Ok((status, body.to_bytes()))
        };
        self.within(CALL_TIMEOUT, whole).await?
    }

    /// Sends the request and returns the head of the answer, with the driver of the connection,
    /// which the body needs until it has been read.
    async fn open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Driver), CallError> {
        let address = self.address;
        let stream = self
            .within(CONNECT_TIMEOUT, TcpStream::connect(address))
            .await?
            .map_err(|source| CallError::Connect { address, source })?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(error))?;
        let mut driver = Driver::new();
        driver.spawn(async move {
            // Why it failed is in what is read from it.
            let _ = connection.await;
        });
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| self.broken(error))?;
        Ok((response, driver))
    }

    async fn within<T>(
        &self,
        within: Duration,
        doing: impl Future<Output = T>,
    ) -> Result<T, CallError> {
        let address = self.address;
        tokio::time::timeout(within, doing)
            .await
            .map_err(|_| CallError::Timeout { address, within })
    }

    fn broken(&self, error: hyper::Error) -> CallError {
        CallError::Broken {
            address: self.address,
            source: error.into(),
        }
    }

    fn strange(&self, what: String) -> CallError {
        CallError::Strange {
            address: self.address,
            what,
        }
    }
}

impl Watching {
    /// The next state; `None` when the stream has ended. Cancel safe: what a canceled call has read
    /// is there for the next one.
    ///
    /// # Errors
    ///
    /// Fails if the stream breaks, falls silent, or holds what is no report.
    pub async fn next(&mut self) -> Result<Option<Report>, CallError> {
        let sidecar = self.sidecar;
        loop {
            while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let whole = self.line.split_to(end + 1);
                if !whole.trim_ascii().is_empty() {
                    let report = serde_json::from_slice(&whole);
                    return report
                        .map(Some)
                        .map_err(|error| sidecar.strange(error.to_string()));
                }
            }
            if self.line.len() > LONGEST {
                return Err(sidecar.strange(format!("a line of more than {LONGEST} bytes")));
            }
            let Some(frame) = sidecar.within(SILENCE, self.body.frame()).await? else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| sidecar.broken(error))?;
            self.line
                .extend_from_slice(&frame.into_data().unwrap_or_default());
        }
    }
}
