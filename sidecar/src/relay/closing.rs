//! Ends of connections: so that the last answer arrives, or that nobody takes half for whole.

use super::buffer::with_scratch;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long a client that was told goodbye may take to close its side. Its last bytes are on their
/// way for one round trip; the rest is for clients that close when they next look.
const LINGER: Duration = Duration::from_secs(2);

/// Resets a connection: the other end sees that what it has is not whole. The socket must be
/// dropped after this.
pub(crate) fn reset(stream: &TcpStream) {
    // An error means that the connection has gone already.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Lets the last bytes, which are to be written next, go out together with our FIN: it is the half
/// of what ten thousand goodbyes cost in the kernel. The FIN pushes what is held (tcp(7),
/// TCP_CORK).
pub(crate) fn with_last_bytes(stream: &TcpStream) {
    // An error means that the connection has gone already.
    let _ = socket2::SockRef::from(stream).set_tcp_cork(true);
}

/// Closes toward a client: says that nothing more comes, then reads and discards until the client
/// has closed too, or [`LINGER`]. A plain close over unread bytes becomes a reset, which destroys
/// what the client has not read yet.
pub(crate) async fn linger(client: &mut TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    let discard = async {
        while client.readable().await.is_ok() {
            match with_scratch(|scratch| client.try_read(scratch)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    // Either end of the wait is the end of the connection.
    let _ = tokio::time::timeout(LINGER, discard).await;
}
