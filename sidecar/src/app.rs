//! The wiring: which parts there are, what connects them, and who watches over whom.
//!
//! ```text
//!   kubelet, controller --> admin --Request--> keeper(machine) --Conduct-> relay
//!                                                 ^                          |
//!                                                 +--------- census <--------+
//! ```
//!
//! Everything runs on one thread: a pod's sidecar has a fraction of a core, and connections do not
//! get faster by moving between threads.

use crate::admin::{Admin, Metrics};
use crate::capture::mark::Capture;
use crate::census::Census;
use crate::config::Config;
use crate::keeper::{Keeper, Request};
use crate::listener;
use crate::relay::{Relay, delivery};
use crate::upstream::{OriginalDestination, Upstream};
use anyhow::Context;
use ebb_api::report::Mode;
use ring::rand::{SecureRandom, SystemRandom};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long to wait before trying again to open a port that somebody else has.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// A sidecar with its ports open, not serving yet.
#[must_use = "it serves nobody until it runs"]
pub struct Bound {
    config: Config,
    /// What came of the redirect step.
    capture: Capture,
    relay: Result<listener::Bound, listener::BindError>,
    admin: Option<TcpListener>,
}

/// Opens the ports. A port that cannot be opened does not keep the pod down, and is tried again;
/// without the relay's the sidecar observes, and says why.
///
/// The relay's is opened even where the mark speaks against a redirect, or cannot be read: should
/// the rules be there after all, every connection to the app would be refused.
pub async fn bind(config: Config) -> Bound {
    let capture = match config.destination {
        OriginalDestination::Redirected => Capture::detect().await,
        OriginalDestination::Fixed(_) => Capture::redirect(Vec::new()),
    };
    let relay = listener::bind(config.relay_port);
    let admin = bind_admin(config.admin_port)
        .await
        .map_err(|error| tracing::error!(port = config.admin_port, %error, "admin port not open"))
        .ok();
    Bound {
        config,
        capture,
        relay,
        admin,
    }
}

// === impl Bound ===

impl Bound {
    /// Where redirected connections arrive, if the port is open.
    pub fn relay_address(&self) -> Option<SocketAddr> {
        self.relay.as_ref().ok().map(listener::Bound::local_addr)
    }

    /// Where hooks, probes and the controller arrive, if the port is open.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Serves until `sigterm` is ready and nothing is left to relay.
    ///
    /// # Errors
    ///
    /// Fails when a part ended that must live as long as the process; kubelet then starts a new one.
    pub async fn run(self, sigterm: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Bound {
            config,
            capture,
            relay,
            admin,
        } = self;
        let census = Census::new(Instant::now());
        let upstream = Upstream::new(config.destination, capture.over_loopback.clone());
        let captured = match &relay {
            Err(error) if capture.mode == Mode::Redirect => Capture::observe(error.to_string()),
            _ => capture.clone(),
        };
        if let Some(reason) = &captured.reason {
            tracing::warn!(%reason, "connections are not relayed, the sidecar only sees the hooks");
        }
        let mode = captured.mode;
        let (keeper, inbox, handles) =
            Keeper::new(&config, captured, census.clone(), random_word()?);
        let mut parts = JoinSet::new();
        let relay_port = relay
            .as_ref()
            .map_or(config.relay_port, |relay| relay.local_addr().port());
        let relayed = Relay::new(census.clone(), handles.conduct, upstream.clone());
        let requests = handles.requests.clone();
        parts.spawn(async move {
            let relay = match relay {
                Ok(relay) => relay,
                Err(_) => {
                    let relay = bind_relay_at_last(config.relay_port).await;
                    // The keeper is gone only when the process ends.
                    let _ = requests.send(Request::Captured(capture)).await;
                    relay
                }
            };
            relay.run(relayed, std::future::pending()).await;
            "relay"
        });
        let metrics = Metrics::new(census.clone(), upstream, handles.published.clone());
        let answers = Admin::new(
            handles.requests.clone(),
            handles.published,
            config.birth.as_ref(),
            config.key.clone(),
            metrics,
        );
        parts.spawn(async move {
            let listener = match admin {
                Some(listener) => listener,
                None => bind_admin_at_last(config.admin_port).await,
            };
            answers.serve(listener).await;
            "admin port"
        });
        tracing::info!(?mode, "serving");
        let told = async {
            sigterm.await;
            // The keeper hears it, or has ended and needs no telling.
            let _ = handles.requests.send(Request::Sigterm).await;
            std::future::pending::<()>().await;
        };
        let served = async {
            keeper.run(inbox).await;
            delivery::delivered(&census, relay_port).await;
            tracing::info!("nothing left to relay or to deliver, exiting");
        };
        tokio::select! {
            () = served => Ok(()),
            () = told => Ok(()),
            Some(ended) = parts.join_next() => {
                let part = ended.context("a part of the sidecar ended by a bug")?;
                anyhow::bail!("the {part} ended, which it never should")
            }
        }
    }
}

/// A random word that tells this start of the process from all others.
fn random_word() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the kernel gives no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Listens for IPv6 and IPv4 with one socket, or for IPv4 alone where the node has no IPv6.
async fn bind_admin(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        bound => bound,
    }
}

async fn bind_relay_at_last(port: u16) -> listener::Bound {
    loop {
        tokio::time::sleep(BIND_PAUSE).await;
        match listener::bind(port) {
            Ok(relay) => {
                tracing::info!(port, "relay port open at last");
                return relay;
            }
            Err(error) => tracing::debug!(port, %error, "relay port not open yet"),
        }
    }
}

async fn bind_admin_at_last(port: u16) -> TcpListener {
    loop {
        tokio::time::sleep(BIND_PAUSE).await;
        match bind_admin(port).await {
            Ok(listener) => {
                tracing::info!(port, "admin port open at last");
                return listener;
            }
            Err(error) => tracing::debug!(port, %error, "admin port not open yet"),
        }
    }
}
