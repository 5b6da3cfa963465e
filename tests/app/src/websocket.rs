//! A WebSocket that echoes (RFC 6455), at `/echo`.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::routes::{Body, Routes};

/// A WebSocket ended, and no Close had come before (section 7.1.5).
const NO_CLOSE: u16 = 1006;

/// A Close came, and gave no reason (section 7.1.5).
const NO_CODE: u16 = 1005;

/// The longest that the work for one message takes, whatever the usual delay is: a WebSocket is no
/// way to wait for minutes.
const LONGEST_WORK: Duration = Duration::from_secs(10);

/// The answer that makes a connection a WebSocket, if that is what the client asks for here.
pub(super) fn accept(request: &Request<Incoming>) -> Option<Response<Body>> {
    if request.uri().path() != "/echo" {
        return None;
    }
    create_response_with_body(request, || Empty::new().boxed_unsync()).ok()
}

/// Sends back each message after the usual delay, until either side is done. When the application
/// stops it leaves without a Close, as most applications do. Logs how the WebSocket ended.
pub(super) async fn serve(stream: Upgraded, routes: &Routes, mut stopping: watch::Receiver<bool>) {
    let _open = routes.open_web_socket();
    let stream = TokioIo::new(stream);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut code = NO_CLOSE;
    let mut messages = 0_u64;
    let echoing = async {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Text(_) | Message::Binary(_) => {
                    tokio::time::sleep(routes.delay().min(LONGEST_WORK)).await;
                    if socket.send(message).await.is_err() {
                        return;
                    }
                    messages += 1;
                }
                // It is answered while we go on to read, which ends then.
                Message::Close(frame) => code = frame.map_or(NO_CODE, |frame| frame.code.into()),
                // Pings are answered by themselves.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    };
    tokio::select! {
        () = echoing => {}
        () = super::told(&mut stopping) => {}
    }
    routes
        .log()
        .line("webSocket", json!({"messages": messages, "code": code}));
}
