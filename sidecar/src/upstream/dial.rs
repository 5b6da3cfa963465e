//! Connecting to the app.

use super::{Destination, Known, as_client, lock, loopback, proves_itself};
use crate::memory::FROM_APP;
use socket2::SockRef;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// The first pause before a connection that found no free port is tried again; each is twice as
/// long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// How long a connection over `lo` may take before its way is in doubt. On one machine that is
/// microseconds, and 3 s are two lost SYNs: the app's queue is full, or the way is not what it was.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a client's kernel tries by itself, with tcp_syn_retries at its default of 6 (tcp(7)): a
/// client of an app whose queue is full waits as long without a relay.
const KERNEL_PATIENCE: Duration = Duration::from_secs(127);

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
            Known::AsClient { own_address } => self.dial_as_client(own_address).await,
        }
    }

    async fn dial_own(&self, over_loopback: &Mutex<Vec<IpAddr>>) -> io::Result<TcpStream> {
        let address = self.address.ip();
        if lock(over_loopback).contains(&address) {
            let socket = loopback::socket(self.address)?;
            match loopback::connect(socket, self.address, PATIENCE).await {
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

    /// Dials from the client's own address. The pod's own takes its place only where the app can't
    /// be had otherwise: servers trust that address, so nothing that a client can bring about (a
    /// full queue, a port that is taken) may make somebody else appear under it.
    async fn dial_as_client(&self, own_address: &Mutex<BTreeSet<u16>>) -> io::Result<TcpStream> {
        let port = self.port();
        let error = match as_client::connect(self.client, port, PATIENCE).await {
            Ok(stream) => {
                lock(own_address).remove(&port);
                return Ok(stream);
            }
            Err(error) => error,
        };
        if is_refused(&error) {
            return self.dial_own_address(own_address).await;
        }
        if !loopback::may_be_to_blame(&error) {
            return Err(error);
        }
        // An app that is busy looks the same as an alias that somebody took away.
        let alias = as_client::alias(self.client.ip());
        let Err(broken) = as_client::proves_itself(alias).await else {
            return as_client::connect(self.client, port, KERNEL_PATIENCE).await;
        };
        if lock(own_address).insert(port) {
            tracing::warn!(app.port = port, %alias, error = %broken, "no way to the app by its alias any more, so it sees the pod's own address in place of its clients'");
        }
        dial_plainly(self.address).await
    }

    /// The app's alias was refused. An app that listens on the pod's own address alone does so, and
    /// one that is about to listen did so a moment ago: it refuses the alias once more only in the
    /// first case.
    async fn dial_own_address(&self, own_address: &Mutex<BTreeSet<u16>>) -> io::Result<TcpStream> {
        let port = self.port();
        let own = dial_plainly(self.address).await?;
        match as_client::connect(self.client, port, PATIENCE).await {
            Err(error) if is_refused(&error) => {
                if lock(own_address).insert(port) {
                    tracing::info!(
                        app.port = port,
                        "the app listens on the pod's own address alone, and sees that in place of its clients'"
                    );
                }
                Ok(own)
            }
            dialed => dialed,
        }
    }
}

async fn dial_plainly(address: SocketAddr) -> io::Result<TcpStream> {
    socket(address)?.connect(address).await
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn socket(destination: SocketAddr) -> io::Result<TcpSocket> {
    match destination {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}
