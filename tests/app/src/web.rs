//! The port that speaks HTTP/1, HTTP/2 with prior knowledge, gRPC and WebSocket.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::routes::{Peer, Routes};
use super::websocket;

/// Serves one connection to its end. When the application stops, an idle one is closed, one with
/// requests in flight after their answers, and a WebSocket at once.
pub(super) async fn serve_connection(
    stream: TcpStream,
    routes: Routes,
    mut stopping: watch::Receiver<bool>,
) {
    // Small answers must not wait for the client's delayed acknowledgment.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // What the connection became when it stopped to be one of requests and answers.
    let upgraded: Arc<Mutex<Option<OnUpgrade>>> = Arc::default();
    let peer = stream.peer_addr().ok().map(Peer);
    let service = service_fn(|mut request| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let routes = routes.clone();
        let upgraded = upgraded.clone();
        async move {
            if let Some(switching) = websocket::accept(&request) {
                *upgraded.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(hyper::upgrade::on(&mut request));
                return Ok(switching);
            }
            routes.answer(request).await
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    server.http2().timer(TokioTimer::new());
    let mut connection =
        std::pin::pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // A connection's errors are the client's affair: it left, or it does not speak HTTP.
    let _ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = super::told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let upgraded = upgraded
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(upgraded) = upgraded
        && let Ok(stream) = upgraded.await
    {
        websocket::serve(stream, &routes, stopping).await;
    }
}
