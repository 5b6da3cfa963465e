//! Accepting: one connection after the other, or all that the kernel has queued before the port
//! closes.

use super::limit::ConnectionLimit;
use super::pause::Pause;
use super::workers::{WorkerLost, Workers};
use super::{Bound, Kind, socket};
use crate::memory::{self, Memory};
use crate::relay::Relay;
use crate::stance::Stance;
use socket2::SockRef;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// How often to look whether connections can read more at once again.
const SHARED_OUT_AGAIN: Duration = Duration::from_secs(1);

/// The relay's port, open or closed, and who runs what it accepts.
pub(super) struct Acceptor {
    address: SocketAddr,
    kind: Kind,
    listener: Option<TcpListener>,
    /// Open while the port is closed on purpose, where the kernel asks for it.
    refusal: Option<TcpListener>,
    limit: ConnectionLimit,
    pause: Pause,
    workers: Workers,
}

// === impl Acceptor ===

impl Acceptor {
    /// Must be called inside of a tokio runtime.
    pub(super) fn new(bound: Bound, relay: Relay) -> Acceptor {
        let acceptor = Acceptor {
            address: bound.address,
            kind: bound.kind,
            listener: Some(bound.listener),
            refusal: None,
            limit: ConnectionLimit::new(relay.census().clone()),
            pause: Pause::default(),
            workers: Workers::new(relay),
        };
        acceptor
            .listener
            .iter()
            .for_each(|it| acceptor.hold_back(it));
        acceptor
    }

    /// Closes the port, or opens it again, as the stance wants it.
    ///
    /// # Errors
    ///
    /// Connections that the kernel had queued can't be served any more.
    pub(super) fn follow(&mut self, stance: Stance) -> Result<(), WorkerLost> {
        let accepts = stance.accepts();
        match &self.listener {
            Some(_) if !accepts => self.close()?,
            None if accepts && !self.pause.is_on() => self.open_again(),
            _ => {}
        }
        if self.listener.is_none() || self.pause.is_on() {
            return Ok(());
        }
        let open = self.limit.open();
        if self.limit.is_full(open) {
            self.failed();
            self.pause.longer();
        } else if !self.memory().admits(open, Instant::now()) {
            self.pause.take(memory::LOOK);
        }
        Ok(())
    }

    /// Accepts and serves one connection, or waits for a pause to end, or for ever where the port
    /// is closed. Cancel safe.
    ///
    /// # Errors
    ///
    /// Connections can't be served any more, or can't be told to leave.
    pub(super) async fn next(&mut self) -> Result<(), WorkerLost> {
        let is_paused = self.pause.is_on();
        let is_shared_out = !is_paused && self.memory().is_shared_out();
        tokio::select! {
            biased;
            lost = self.workers.watch() => Err(lost),
            () = self.pause.over(), if is_paused => Ok(()),
            // What is left may have become more, with nobody new to ask for it.
            () = tokio::time::sleep(SHARED_OUT_AGAIN), if is_shared_out => Ok(()),
            accepted = accept(self.listener.as_ref()), if !is_paused => self.serve(accepted),
        }
    }

    fn serve(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) -> Result<(), WorkerLost> {
        match accepted {
            Ok((client, peer)) => {
                self.pause.forget();
                self.workers.run(client, peer)
            }
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                self.failed();
                if !concerns_one_connection(&error) {
                    tracing::warn!(%error, "the relay pauses accepting");
                    self.pause.longer();
                }
                Ok(())
            }
        }
    }

    /// A close over connections that the kernel has queued would reset them: they are accepted
    /// first, in the same tick. Before that the kernel is asked to refuse what comes after it, or
    /// the app would get it.
    fn close(&mut self) -> Result<(), WorkerLost> {
        if let Some(listener) = self.listener.take() {
            self.refusal = self.refuse();
            while let Some((client, peer)) = self.next_queued(&listener) {
                self.workers.run(client, peer)?;
            }
            drop(listener);
            tracing::info!(address = %self.address, "the relay accepts nothing more");
        }
        Ok(())
    }

    fn refuse(&self) -> Option<TcpListener> {
        let Kind::Transparent { refusal } = self.kind else {
            return None;
        };
        let address = SocketAddr::new(self.address.ip(), refusal);
        socket::open(address, self.kind)
            .inspect_err(|error| {
                tracing::error!(%address, %error, "the kernel can't be asked to refuse connections, so the app gets what comes now");
            })
            .ok()
    }

    fn open_again(&mut self) {
        match socket::open(self.address, self.kind) {
            Ok(listener) => {
                self.hold_back(&listener);
                self.listener = Some(listener);
                self.refusal = None;
                tracing::info!(address = %self.address, "the relay accepts again");
            }
            Err(error) => {
                tracing::warn!(address = %self.address, %error, "the relay can't listen again yet");
                self.failed();
                self.pause.longer();
            }
        }
    }

    /// The next connection that the kernel has queued. It asks the kernel itself: tokio may not
    /// know yet of a connection that is there.
    fn next_queued(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
        loop {
            // More than there is room for would cost those that are open their connections, too.
            if !self.memory().admits(self.limit.open(), Instant::now()) {
                self.failed();
                tracing::warn!("connections that were queued are lost, for want of memory");
                return None;
            }
            let client = SockRef::from(listener).accept().and_then(|(client, peer)| {
                client.set_nonblocking(true)?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
                Ok((TcpStream::from_std(client.into())?, peer))
            });
            match client {
                Ok(client) => return Some(client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => {
                    self.failed();
                    if !concerns_one_connection(&error) {
                        tracing::warn!(%error, "connections that were queued are lost");
                        return None;
                    }
                }
            }
        }
    }

    /// With a limit of memory, what a client does not take stays with the app: the kernel has
    /// megabytes of it for each connection otherwise.
    fn hold_back(&self, listener: &TcpListener) {
        if self.memory().is_bounded()
            && let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(memory::MOST_UNSENT)
        {
            tracing::warn!(%error, "the kernel's buffers are not bounded");
        }
    }

    fn memory(&self) -> &Memory {
        self.workers.relay().memory()
    }

    fn failed(&self) {
        self.workers.relay().census().accept_failed();
    }
}

/// Accepts one connection; never ready where there is no listener.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| match listener {
        Some(listener) => listener.poll_accept(context),
        None => Poll::Pending,
    })
    .await
}

/// True for errors of the connection that was to be accepted (accept(2) passes them on): the next
/// one has nothing to do with it.
fn concerns_one_connection(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::PERM
        )
    )
}
