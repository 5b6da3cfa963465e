//! Connecting to the app.

use super::as_client::{self, AsClient};
use super::{Destination, Known, loopback, proves_itself};
use crate::memory::FROM_APP;
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// The first pause before a connection that found no free port is tried again; each is twice as
/// long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// For how long it is tried again: the kernel gives a port away after one second in TIME_WAIT.
const NO_LONGER_THAN: Duration = Duration::from_millis(1500);

impl Destination {
    /// Connects to the app. Where no local port is free it is tried again
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
        // As on the client's side: an urgent byte keeps its place among the others.
        SockRef::from(&stream).set_out_of_band_inline(true)?;
        if self.upstream.memory.is_bounded() {
            SockRef::from(&stream).set_recv_buffer_size(FROM_APP)?;
        }
        if let Some(header) = &self.header {
            stream.write_all(header).await?;
        }
        Ok(stream)
    }

    async fn dial_once(&self) -> io::Result<TcpStream> {
        match &self.upstream.approach {
            Known::Own { over_loopback } => self.dial_own(over_loopback).await,
            Known::AsClient(ports) => self.dial_as_client(ports).await,
        }
    }

    async fn dial_own(&self, over_loopback: &Mutex<Vec<IpAddr>>) -> io::Result<TcpStream> {
        let address = self.address.ip();
        if lock(over_loopback).contains(&address) {
            let socket = loopback::socket(self.address)?;
            match loopback::connect(socket, self.address).await {
                Err(error) if loopback::may_be_to_blame(&error) => {
                    // An app that is busy looks the same as a route that somebody changed.
                    if let Err(error) = proves_itself(address).await {
                        tracing::warn!(%address, %error, "no way to the app over lo any more, so new connections share fewer ports");
                        lock(over_loopback).retain(|other| *other != address);
                    }
                }
                dialed => return dialed,
            }
        }
        dial_plainly(self.address).await
    }

    /// An app that listens on the pod's own address alone refuses the alias. It is dialed as
    /// without it then, and sees the pod's address in place of its client's.
    async fn dial_as_client(&self, ports: &AsClient) -> io::Result<TcpStream> {
        let port = self.port();
        if ports.is_at_own_address(port) {
            match dial_plainly(self.address).await {
                Err(error) if is_refused(&error) => ports.left_own_address(port),
                dialed => return dialed,
            }
        }
        let error = match as_client::connect(self.client, port).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let stream = dial_plainly(self.address).await?;
        if is_refused(&error) && ports.found_at_own_address(port) {
            tracing::info!(
                app.port = port,
                "the app listens on the pod's own address alone, and sees that in place of its clients'"
            );
        } else {
            tracing::debug!(app.port = port, %error, "the app was dialed from the pod's own address");
        }
        Ok(stream)
    }
}

async fn dial_plainly(address: SocketAddr) -> io::Result<TcpStream> {
    socket(address)?.connect(address).await
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn lock(addresses: &Mutex<Vec<IpAddr>>) -> MutexGuard<'_, Vec<IpAddr>> {
    // Nothing that holds the lock can panic halfway.
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket(destination: SocketAddr) -> io::Result<TcpSocket> {
    match destination {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}
