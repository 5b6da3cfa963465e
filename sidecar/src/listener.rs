//! The port that redirected connections arrive on: open while the pod accepts, closed while it
//! drains, open again if the drain heals.

mod limit;
mod workers;

use crate::relay::Relay;
use crate::stance::Stance;
use limit::ConnectionLimit;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use workers::{WorkerLost, Workers};

/// Connections that the kernel keeps until they are accepted; it lowers this to somaxconn, 4096 by
/// default.
const BACKLOG: i32 = 4096;

/// How long the sender of a client's connection keeps quiet before its kernel asks whether the client
/// is still there, how long it waits for each answer, and how many it misses. Forgotten connections
/// go after 40 s, and conntrack's 60 s of close_wait can't swallow the answer to a client that has
/// half-closed.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(25), Duration::from_secs(5), 3);

/// The first and the longest pause after an error that the next accept would meet again (no file
/// descriptors, no memory), and before a port is tried again that was taken.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Why the relay's port could not be opened.
#[derive(Debug, Error)]
#[error("the relay can't listen on port {port}: {source}")]
pub struct BindError {
    /// The port.
    pub port: u16,
    /// What the kernel says.
    pub source: io::Error,
}

/// An open port that nobody serves yet; see [`Bound::run`].
#[derive(Debug)]
#[must_use = "connections wait until it runs"]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens the relay's port for IPv4 and IPv6, or for IPv4 alone where the node has no IPv6. Port 0
/// takes any that is free. Must be called inside of a tokio runtime.
///
/// # Errors
///
/// The port is taken, or may not be opened.
pub fn bind(port: u16) -> Result<Bound, BindError> {
    let error = |source| BindError { port, source };
    let listener = match open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        Err(unsupported) if has_no_ipv6(&unsupported) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        opened => opened,
    }
    .map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok(Bound { listener, address })
}

// === impl Bound ===

impl Bound {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and relays until `stop` is ready, then drops what is still open. It ends by itself
    /// only when a part was lost without which connections can't be served, or can't be told to leave.
    ///
    /// With [`Stance::Draining`] and later, all connections that the kernel has queued are accepted
    /// and the port is closed in the same tick: a close over queued connections would reset them.
    /// Back in an earlier stance the port is opened again.
    pub async fn run(self, relay: Relay, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut conduct = relay.conduct();
        let mut conduct_ends = false;
        let limit = ConnectionLimit::new(relay.census().clone());
        let mut workers = Workers::new(relay);
        let mut pause = Pause::default();
        let mut listener = Some(self.listener);
        loop {
            let accepts = conduct.borrow_and_update().stance < Stance::Draining;
            match &listener {
                Some(open) if !accepts => {
                    for (client, peer) in queued(open, workers.relay()) {
                        if let Err(WorkerLost) = workers.run(client, peer) {
                            return;
                        }
                    }
                    listener = None;
                    tracing::info!(address = %self.address, "the relay accepts nothing more");
                }
                None if accepts && !pause.is_on() => match open(self.address) {
                    Ok(open) => {
                        listener = Some(open);
                        tracing::info!(address = %self.address, "the relay accepts again");
                    }
                    Err(error) => {
                        tracing::warn!(address = %self.address, %error, "the relay can't listen again yet");
                        workers.relay().census().accept_failed();
                        pause.longer();
                    }
                },
                _ => {}
            }
            if listener.is_some() && !pause.is_on() && limit.is_full() {
                workers.relay().census().accept_failed();
                pause.longer();
            }
            tokio::select! {
                biased;
                () = &mut stop => return,
                changed = conduct.changed(), if !conduct_ends => conduct_ends = changed.is_err(),
                WorkerLost = workers.watch() => return,
                () = pause.over(), if pause.is_on() => {}
                accepted = accept(listener.as_ref()), if !pause.is_on() => match accepted {
                    Ok((client, peer)) => {
                        pause.forget();
                        if let Err(WorkerLost) = workers.run(client, peer) {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "accept failed");
                        workers.relay().census().accept_failed();
                        if !concerns_one_connection(&error) {
                            tracing::warn!(%error, "the relay pauses accepting");
                            pause.longer();
                        }
                    }
                },
            }
        }
    }
}

/// The pause after errors that come again: twice as long each time.
#[derive(Default)]
struct Pause {
    length: Duration,
    until: Option<Instant>,
}

impl Pause {
    fn longer(&mut self) {
        self.length = (self.length * 2).clamp(PAUSE.0, PAUSE.1);
        self.until = Some(Instant::now() + self.length);
    }

    fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Waits for its end; cancel safe.
    async fn over(&mut self) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
            self.until = None;
        }
    }

    fn forget(&mut self) {
        self.length = Duration::ZERO;
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Connections of an earlier start may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Linux hands these two on to every connection that is accepted: one system call here is one less
    // for each of them.
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new()
        .with_time(time)
        .with_interval(interval)
        .with_retries(retries);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn has_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    )
}

/// Accepts one connection; never ready where there is no listener.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| match listener {
        Some(listener) => listener.poll_accept(context),
        None => Poll::Pending,
    })
    .await
}

/// Accepts all that the kernel has queued. It asks the kernel itself: tokio may not have heard yet
/// of a connection that is there.
fn queued(listener: &TcpListener, relay: &Relay) -> Vec<(TcpStream, SocketAddr)> {
    let mut clients = Vec::new();
    loop {
        let client = socket2::SockRef::from(listener)
            .accept()
            .and_then(|(client, peer)| {
                client.set_nonblocking(true)?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
                Ok((TcpStream::from_std(client.into())?, peer))
            });
        match client {
            Ok(client) => clients.push(client),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return clients,
            Err(error) => {
                relay.census().accept_failed();
                if !concerns_one_connection(&error) {
                    tracing::warn!(%error, "connections that were queued are lost");
                    return clients;
                }
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::Census;
    use crate::stance::Conduct;
    use crate::upstream::{OriginalDestination, Upstream};
    use socket2::SockRef;
    use std::future::pending;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};
    use tokio::sync::watch;

    /// Every accepted connection sends small answers at once and finds out that its client is gone:
    /// it has that from the listener.
    #[tokio::test]
    async fn connections_inherit_what_they_need() {
        let bound = bind(0).unwrap();
        let address = (Ipv4Addr::LOCALHOST, bound.local_addr().port());
        let _client = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = bound.listener.accept().await.unwrap();
        let socket = SockRef::from(&accepted);
        let probes = (
            socket.tcp_keepalive_time().unwrap(),
            socket.tcp_keepalive_interval().unwrap(),
            socket.tcp_keepalive_retries().unwrap(),
        );
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(probes, KEEPALIVE);
    }

    /// A connection that can't be woken, by which what wakes them panics.
    struct Unwakeable;

    impl Wake for Unwakeable {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics, as the test wants it");
        }
    }

    /// The relay ends, and the process with it, when nobody can tell its connections to leave any
    /// more: it would go on serving, and no drain would reach a connection at rest.
    #[tokio::test(start_paused = true)]
    async fn the_relay_ends_with_what_wakes_its_connections() {
        let census = Census::new(std::time::Instant::now());
        let (conduct, receiver) = watch::channel(Conduct::default());
        let nowhere = OriginalDestination::Fixed((Ipv4Addr::LOCALHOST, 9).into());
        let relay = Relay::new(census, receiver, Upstream::new(nowhere, Vec::new()));
        let mut subscription = relay.subscribe();
        let waker = Waker::from(Arc::new(Unwakeable));
        assert!(subscription.changed(&Context::from_waker(&waker)).is_some());
        conduct.send_modify(|conduct| conduct.stance = Stance::Parting);
        let run = bind(0).unwrap().run(relay, pending());
        let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
        assert!(
            ended.is_ok(),
            "it goes on, and tells no connection to leave"
        );
    }
}
