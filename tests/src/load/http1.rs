//! One client connection, and one exchange on it.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Plan;
use super::tally::Failure;

/// What each request carries: enough for a body, too little to matter.
const BODY: &[u8] = b"{\"item\":1}";

/// Whether the connection is to be used again after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    Yes,
    No,
}

/// A connection to the target. Dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Holds the one task that moves the connection's bytes.
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Failure> {
        let stream = timeout(
            plan.connect_timeout,
            TcpStream::connect(plan.target.address()),
        )
        .await
        .map_err(|_| Failure::ConnectTimedOut)?
        .map_err(|error| Failure::of_connect(&error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| Failure::of_connect(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::of_request(&error))?;
        let mut driver = JoinSet::new();
        driver.spawn_local(async move {
            // Its error reaches the exchange that it breaks.
            let _ended = connection.await;
        });
        Ok(Self {
            sender,
            _driver: driver,
        })
    }

    /// Sends one request and reads its answer to the end. Returns whether the connection may be
    /// used again; [`Failure::NotSent`] means that nothing of the request has left.
    pub(super) async fn exchange(&mut self, plan: &Plan, reuse: Reuse) -> Result<bool, Failure> {
        timeout(plan.answer_timeout, self.exchange_unbounded(plan, reuse))
            .await
            .map_err(|_| Failure::TimedOut)?
    }

    async fn exchange_unbounded(&mut self, plan: &Plan, reuse: Reuse) -> Result<bool, Failure> {
        self.sender.ready().await.map_err(|_| Failure::NotSent)?;
        let request = post(plan, reuse)?;
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => {
                // A request that is handed back was never written.
                return Err(match error.take_message() {
                    Some(_) => Failure::NotSent,
                    None => Failure::of_request(error.error()),
                });
            }
        };
        let status = response.status();
        let stays = reuse == Reuse::Yes && !says_close(response.headers());
        response
            .into_body()
            .collect()
            .await
            .map_err(|_| Failure::CutShort)?;
        match status.is_server_error() {
            true => Err(Failure::Status(status.as_u16())),
            false => Ok(stays),
        }
    }
}

fn post(plan: &Plan, reuse: Reuse) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&plan.path)
        .header(HOST, plan.target.to_string())
        .body(Full::new(Bytes::from_static(BODY)))
        .map_err(|_| Failure::Other)?;
    if reuse == Reuse::No {
        request
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(request)
}

fn says_close(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|token| token.trim().eq_ignore_ascii_case("close"))
        })
}
