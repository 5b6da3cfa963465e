//! Connecting to the app.

use super::{Destination, loopback, proves_itself};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// The first pause before a connection that found no free port is tried again; each is twice as
/// long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// For how long it is tried again: the kernel gives a port away after one second in TIME_WAIT.
const NO_LONGER_THAN: Duration = Duration::from_millis(1500);

impl Destination {
    /// Connects to the app at its original address. Where no local port is free it is tried again
    /// for [`NO_LONGER_THAN`].
    ///
    /// # Errors
    ///
    /// What the kernel says of the last try.
    pub(crate) async fn dial(self) -> io::Result<TcpStream> {
        let shortage = &self.upstream.shortage;
        let mut waited: Option<(Instant, Duration)> = None;
        let mut stream = loop {
            let error = match self.dial_once().await {
                Ok(stream) => break stream,
                Err(error) => error,
            };
            if error.kind() != io::ErrorKind::AddrNotAvailable {
                return Err(error);
            }
            let now = Instant::now();
            let (since, pause) = waited.unwrap_or_else(|| {
                shortage.waits(self.address, now);
                (now, FIRST_PAUSE)
            });
            let left = NO_LONGER_THAN.saturating_sub(now.saturating_duration_since(since));
            if left.is_zero() {
                shortage.gave_up();
                return Err(error);
            }
            tokio::time::sleep(pause.min(left)).await;
            waited = Some((since, pause * 2));
        };
        // No keep-alive toward the app: it is on this machine, where the kernel tells of every end.
        // Connection tracking may forget the connection, and takes it up again: there is nothing
        // to translate.
        stream.set_nodelay(true)?;
        if let Some(header) = &self.header {
            stream.write_all(header).await?;
        }
        Ok(stream)
    }

    async fn dial_once(&self) -> io::Result<TcpStream> {
        let address = self.address.ip();
        if self.upstream.is_over_loopback(address) {
            match loopback::connect(self.address).await {
                Err(error) if loopback::may_be_to_blame(&error) => {
                    // An app that is busy looks the same as a route that somebody changed.
                    if let Err(error) = proves_itself(address).await {
                        tracing::warn!(%address, %error, "no way to the app over lo any more, so new connections share fewer ports");
                        self.upstream.leave_loopback(address);
                    }
                }
                dialed => return dialed,
            }
        }
        socket(self.address)?.connect(self.address).await
    }
}

fn socket(destination: SocketAddr) -> io::Result<TcpSocket> {
    match destination {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}
