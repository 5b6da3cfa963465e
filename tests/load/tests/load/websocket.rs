//! WebSocket: a message without its echo, and an end without a Close, are lost.

use ebb_load::kind::Kind;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::{assert_all_failed, assert_counted, tally_of};

/// Accepts a WebSocket and takes its first message, if the client stays until then.
async fn first(stream: TcpStream) -> Option<(WebSocketStream<TcpStream>, Message)> {
    let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    let message = socket.next().await?.ok()?;
    Some((socket, message))
}

/// Accepts a WebSocket and echoes its first message.
async fn echoed(stream: TcpStream) -> Option<WebSocketStream<TcpStream>> {
    let (mut socket, message) = first(stream).await?;
    socket.send(message).await.ok()?;
    Some(socket)
}

async fn close(mut socket: WebSocketStream<TcpStream>, code: u16) {
    let frame = CloseFrame {
        code: code.into(),
        reason: "".into(),
    };
    let _client_may_have_left = socket.close(Some(frame)).await;
    while let Some(Ok(_)) = socket.next().await {}
}

/// A Close 1001 between two messages is how a server leaves: the client connects again, and nothing
/// has failed.
#[tokio::test]
async fn an_announced_end_is_no_failure() {
    let tally = tally_of(Kind::WebSocket, 10, |stream| async {
        if let Some(socket) = echoed(stream).await {
            close(socket, 1001).await;
        }
    })
    .await;
    assert_counted(&tally, 10, 0);
    assert_eq!(tally.connections, 10);
}

/// An end without a Close in a pause is a loss of its own, though every message had its echo.
#[tokio::test]
async fn an_end_without_a_close_is_a_failure() {
    let tally = tally_of(Kind::WebSocket, 5, |stream| async {
        drop(echoed(stream).await);
    })
    .await;
    assert_counted(&tally, 10, 5);
    assert_eq!(tally.reasons["no Close"], 5);
}

/// A Close that says that something is wrong is no goodbye.
#[tokio::test]
async fn an_error_close_is_a_failure() {
    let tally = tally_of(Kind::WebSocket, 5, |stream| async {
        if let Some(socket) = echoed(stream).await {
            close(socket, 1011).await;
        }
    })
    .await;
    assert_counted(&tally, 10, 5);
    assert_eq!(tally.reasons["Close 1011"], 5);
}

/// A message without its echo is lost, whether the WebSocket ends with a Close or not, and if it
/// does not end.
#[tokio::test]
async fn a_message_without_an_echo_is_a_failure() {
    let dropped = tally_of(Kind::WebSocket, 5, |stream| async {
        drop(first(stream).await);
    });
    assert_all_failed(&dropped.await, 5, "no echo");
    let closed = tally_of(Kind::WebSocket, 5, |stream| async {
        if let Some((socket, _)) = first(stream).await {
            close(socket, 1001).await;
        }
    });
    assert_all_failed(&closed.await, 5, "no echo");
    let silent = tally_of(Kind::WebSocket, 1, |stream| async {
        if let Some((mut socket, _)) = first(stream).await {
            while let Some(Ok(_)) = socket.next().await {}
        }
    });
    assert_all_failed(&silent.await, 1, "answer timed out");
}

/// Another message than the echo is a failure.
#[tokio::test]
async fn a_wrong_echo_is_a_failure() {
    let tally = tally_of(Kind::WebSocket, 5, |stream| async {
        if let Some((mut socket, _)) = first(stream).await {
            let _sent = socket.send(Message::text("something else")).await;
            while let Some(Ok(_)) = socket.next().await {}
        }
    });
    assert_all_failed(&tally.await, 5, "wrong answer");
}

/// A server that refuses the WebSocket is a failure with its status, one that hangs up without it.
#[tokio::test]
async fn a_refused_handshake_is_a_failure() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let refused = tally_of(Kind::WebSocket, 3, |mut stream| async move {
        let _head = stream.read(&mut [0; 1024]).await;
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    assert_all_failed(&refused.await, 3, "status 503");
    let hung_up = tally_of(Kind::WebSocket, 3, |mut stream| async move {
        let _head = stream.read(&mut [0; 1024]).await;
    });
    assert_all_failed(&hung_up.await, 3, "closed without an answer");
}
