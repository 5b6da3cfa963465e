//! The ports that the sidecar listens on. One that somebody else has does not keep the pod down: it
//! is tried again until it can be had.

use crate::admin::Admin;
use crate::lifecycle::Message;
use crate::listener::{self, Port};
use crate::relay::Relay;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

/// How long to wait before trying again to open a port that somebody else has.
const PAUSE: Duration = Duration::from_secs(1);

/// Connections to the admin port that the kernel keeps until they are accepted; it lowers this to
/// somaxconn.
const BACKLOG: u32 = 1024;

/// A port of the relay.
pub(super) struct RelayPort {
    /// With the number 0 where any would do and none was to be had.
    port: Port,
    bound: Result<listener::Bound, listener::BindError>,
}

/// The port for everything but connections to the app.
pub(super) struct AdminPort {
    /// The port, or 0 where any would do and none was to be had.
    number: u16,
    listener: Option<std::net::TcpListener>,
}

// === impl RelayPort ===

impl RelayPort {
    pub(super) fn open(port: Port) -> RelayPort {
        let bound = listener::bind(port);
        let number = match &bound {
            Ok(bound) => bound.local_addr().port(),
            Err(_) => port.number,
        };
        RelayPort {
            port: Port { number, ..port },
            bound,
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.port.number
    }

    /// Where its clients arrive, or why they can't.
    pub(super) fn address(&self) -> Result<SocketAddr, &listener::BindError> {
        self.bound.as_ref().map(listener::Bound::local_addr)
    }

    /// Relays what comes in, as soon as the port can be had. Never ends by itself, but for a bug.
    pub(super) async fn run(self, relay: Relay, messages: mpsc::Sender<Message>) {
        let bound = match self.bound {
            Ok(bound) => bound,
            Err(_) => {
                let bound = bind_relay_at_last(self.port).await;
                // The lifecycle is gone only when the process ends.
                let _ = messages.send(Message::Opened(self.port.number)).await;
                bound
            }
        };
        bound.run(relay, std::future::pending()).await;
    }
}

async fn bind_relay_at_last(port: Port) -> listener::Bound {
    loop {
        tokio::time::sleep(PAUSE).await;
        match listener::bind(port) {
            Ok(relay) => {
                tracing::info!(port.number, "relay port open at last");
                return relay;
            }
            Err(error) => tracing::debug!(port.number, %error, "relay port not open yet"),
        }
    }
}

// === impl AdminPort ===

impl AdminPort {
    pub(super) fn open(port: u16) -> AdminPort {
        let listener = bind_admin(port)
            .and_then(TcpListener::into_std)
            .map_err(|error| tracing::error!(port, %error, "admin port not open"))
            .ok();
        let address = listener.as_ref().and_then(|it| it.local_addr().ok());
        AdminPort {
            number: address.map_or(port, |address| address.port()),
            listener,
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Where requests arrive, if it is open.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// Serves what comes in, as soon as the port can be had, on a thread of its own: neither the
    /// connections of a busy relay nor a scrape wait for each other. Ends when `end` does.
    pub(super) fn run(self, admin: Arc<Admin>, end: oneshot::Receiver<()>) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let served = async {
                let listener = match self.listener.map(TcpListener::from_std) {
                    Some(Ok(listener)) => listener,
                    Some(Err(_)) | None => bind_admin_at_last(self.number).await,
                };
                admin.serve(listener).await;
            };
            tokio::select! {
                () = served => {}
                _ = end => {}
            }
        });
        Ok(())
    }
}

/// Must be called inside of a tokio runtime.
fn bind_admin(port: u16) -> io::Result<TcpListener> {
    listener::on_all_addresses(port, |address| {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A port whose last connections are in TIME_WAIT can be had all the same.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    })
}

async fn bind_admin_at_last(port: u16) -> TcpListener {
    loop {
        tokio::time::sleep(PAUSE).await;
        match bind_admin(port) {
            Ok(listener) => {
                tracing::info!(port, "admin port open at last");
                return listener;
            }
            Err(error) => tracing::debug!(port, %error, "admin port not open yet"),
        }
    }
}
