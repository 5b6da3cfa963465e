//! HTTP/1 clients: those that stay on their connection, and those that make one for each request.

use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::connect::connect;
use super::kind::Kind;
use super::tally::Failure;
use super::{BODY, Plan, Run};

/// Whether the connection is to be used again after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reuse {
    Yes,
    No,
}

/// A connection to the target. Dropping it closes it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Holds the one task that moves the connection's bytes.
    _driver: JoinSet<()>,
}

/// Sends one request after the other on one connection, as long as it stays.
pub(super) async fn keep_alive_client(run: Rc<Run>) {
    let mut connection = None;
    while run.take_one() {
        let began = Instant::now();
        let result = on_kept_connection(&run, &mut connection).await;
        run.ended(Kind::KeepAlive, began, result).await;
    }
}

/// Sends one request after the other, each on a connection of its own.
pub(super) async fn fresh_client(run: Rc<Run>) {
    while run.take_one() {
        let began = Instant::now();
        let result = async {
            let mut connection = Connection::open(&run).await?;
            connection.exchange(&run.plan, Reuse::No).await.map(drop)
        };
        run.ended(Kind::Fresh, began, result.await).await;
    }
}

/// One request on the connection that there is, or on a new one if there is none or it has ended
/// since its last answer.
async fn on_kept_connection(run: &Run, kept: &mut Option<Connection>) -> Result<(), Failure> {
    if let Some(mut connection) = kept.take() {
        match connection.exchange(&run.plan, Reuse::Yes).await {
            Err(Failure::NotSent) => {}
            result => {
                *kept = result?.then_some(connection);
                return Ok(());
            }
        }
    }
    let mut connection = Connection::open(run).await?;
    // On a connection that carried nothing yet, "not sent" is a failure as any other: the server
    // took the connection and closed it.
    let stays = connection.exchange(&run.plan, Reuse::Yes).await?;
    *kept = stays.then_some(connection);
    Ok(())
}

// === impl Connection ===

impl Connection {
    /// Connects.
    async fn open(run: &Run) -> Result<Self, Failure> {
        let stream = connect(run).await?;
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
    async fn exchange(&mut self, plan: &Plan, reuse: Reuse) -> Result<bool, Failure> {
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
