//! The port that connections arrive on: open while the pod accepts, closed while it drains, open
//! again if the drain heals.

mod accept;
mod limit;
mod pause;
mod port;
mod socket;
mod workers;

pub use port::{Kind, Port};
pub(crate) use socket::on_all_addresses;

use crate::relay::Relay;
use accept::Acceptor;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use tokio::net::TcpListener;
use workers::WorkerLost;

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
    kind: Kind,
}

/// Opens the relay's port for IPv4 and IPv6, or for IPv4 alone where the node has no IPv6. Must be
/// called inside of a tokio runtime.
///
/// # Errors
///
/// The port is taken, or may not be opened.
pub fn bind(port: Port) -> Result<Bound, BindError> {
    let Port { number, kind } = port;
    let error = |source| BindError {
        port: number,
        source,
    };
    let open = |address| socket::open(address, kind);
    let listener = on_all_addresses(number, open).map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok(Bound {
        listener,
        address,
        kind,
    })
}

// === impl Bound ===

impl Bound {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and relays until `stop` is ready, then drops what is still open. It ends by itself
    /// only when a part was lost without which connections can't be served, or can't be told to
    /// leave.
    ///
    /// From [`Stance::Draining`] on the port is closed; all connections that the kernel has queued
    /// are accepted first, in the same tick. Back in an earlier stance it is opened again.
    ///
    /// [`Stance::Draining`]: crate::stance::Stance::Draining
    pub async fn run(self, relay: Relay, stop: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = stop => {}
            // It has said what was lost.
            Err(WorkerLost) = self.serve(relay) => {}
        }
    }

    async fn serve(self, relay: Relay) -> Result<Infallible, WorkerLost> {
        let mut conduct = relay.conduct();
        let mut conduct_ends = false;
        let mut acceptor = Acceptor::new(self, relay);
        loop {
            let stance = conduct.borrow_and_update().stance;
            acceptor.follow(stance)?;
            tokio::select! {
                biased;
                changed = conduct.changed(), if !conduct_ends => conduct_ends = changed.is_err(),
                went_on = acceptor.next() => went_on?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::Census;
    use crate::stance::{Conduct, Stance};
    use crate::upstream::{Approach, OriginalDestination, Upstream};
    use std::future::pending;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;
    use tokio::sync::watch;

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
        let relay = Relay::new(
            census,
            receiver,
            Upstream::new(nowhere, Approach::default()),
        );
        let mut subscription = relay.subscribe();
        let waker = Waker::from(Arc::new(Unwakeable));
        assert!(subscription.changed(&Context::from_waker(&waker)).is_some());
        conduct.send_modify(|conduct| conduct.stance = Stance::Parting);
        let run = bind(Port::plain(0)).unwrap().run(relay, pending());
        let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
        assert!(
            ended.is_ok(),
            "it goes on, and tells no connection to leave"
        );
    }
}
