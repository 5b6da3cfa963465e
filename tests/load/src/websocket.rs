//! WebSocket clients that send a message, wait for its echo, pause, and connect again when they are
//! told that the server goes away.
//!
//! Lost are a message without its echo, and a WebSocket that ends without a Close, in a pause, too
//! (which counts as one more message). A message that meets the server's Close on its way gets no
//! echo from any server; it counts as lost.

use std::rc::Rc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::{self, protocol::frame::coding::CloseCode};

use super::Run;
use super::connect::connect;
use super::kind::Kind;
use super::tally::Failure;

/// The path of the echo.
const PATH: &str = "/echo";

/// How long a client is silent between two messages: it is a person who types, not a flood.
const PAUSE: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<TcpStream>;

/// Sends one message after the other.
pub(super) async fn client(run: Rc<Run>) {
    let mut open = None;
    let mut number = 0_u64;
    while run.take_one() {
        number += 1;
        let began = Instant::now();
        let echoed = echo(&run, open.take(), number.to_string());
        let result = timeout(run.plan.answer_timeout, echoed).await;
        let result = result
            .unwrap_or(Err(Failure::TimedOut))
            .map(|socket| open = Some(socket));
        run.ended(Kind::WebSocket, began, result).await;
        if let Some(socket) = open.take() {
            let began = Instant::now();
            match pause(&run, socket).await {
                Ok(still_open) => open = still_open,
                Err(failure) => run.ended(Kind::WebSocket, began, Err(failure)).await,
            }
        }
    }
    if let Some(mut socket) = open {
        let done = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // Everything was answered: how the server takes the Close makes no difference.
        let _closed = socket.close(Some(done)).await;
        read_out(&run, socket).await;
    }
}

async fn echo(run: &Run, open: Option<Socket>, content: String) -> Result<Socket, Failure> {
    let mut socket = match open {
        Some(socket) => socket,
        None => open_socket(run).await?,
    };
    let sent = Message::text(content);
    let failed = |error| Failure::of_web_socket(&error, Failure::NoEcho);
    socket.send(sent.clone()).await.map_err(failed)?;
    loop {
        match socket.next().await {
            Some(Ok(message)) if message == sent => return Ok(socket),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(Failure::NoEcho),
            Some(Ok(_)) => return Err(Failure::WrongAnswer),
            Some(Err(error)) => return Err(failed(error)),
        }
    }
}

async fn open_socket(run: &Run) -> Result<Socket, Failure> {
    let stream = connect(run).await?;
    let address = format!("ws://{}{PATH}", run.plan.target);
    match tokio_tungstenite::client_async(address, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(Failure::Status(answer.status().as_u16())),
        Err(error) => Err(Failure::of_web_socket(&error, Failure::Closed)),
    }
}

/// Listens in silence until it is time for the next message. Returns the WebSocket if it stays
/// open.
async fn pause(run: &Run, mut socket: Socket) -> Result<Option<Socket>, Failure> {
    let end = Instant::now() + PAUSE;
    loop {
        match timeout_at(end, socket.next()).await {
            Err(_) => return Ok(Some(socket)),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Ok(Message::Close(frame)))) => {
                read_out(run, socket).await;
                return match frame.map(|frame| frame.code) {
                    None | Some(CloseCode::Normal | CloseCode::Away | CloseCode::Restart) => {
                        Ok(None)
                    }
                    Some(code) => Err(Failure::CloseCode(code.into())),
                };
            }
            Ok(Some(Ok(_))) => return Err(Failure::WrongAnswer),
            Ok(Some(Err(error))) => return Err(Failure::of_web_socket(&error, Failure::NoClose)),
            Ok(None) => return Err(Failure::NoClose),
        }
    }
}

/// Reads until the connection ends, which carries our Close to the server.
async fn read_out(run: &Run, mut socket: Socket) {
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    // A server that never ends it has got our Close all the same.
    let _in_time = timeout(run.plan.answer_timeout, ended).await;
}
