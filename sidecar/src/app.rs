//! The wiring: which parts there are, what connects them, and who watches over whom.
//!
//! ```text
//!   kubelet, controller --> admin --Message--> lifecycle --Conduct--> relay
//!                                                  ^                  |
//!                                                  +----- census <-----+
//! ```
//!
//! Everything runs on one thread: a pod's sidecar has a fraction of a core, and connections do not
//! get faster by moving between threads. Where that is told to be too few (`workers`), connections run
//! on others, and all the rest stays here.

use crate::admin::{Admin, Metrics};
use crate::capture::standing::Standing;
use crate::census::Census;
use crate::config::Config;
use crate::lifecycle::{Captured, Lifecycle, Message};
use crate::listener;
use crate::relay::{Relay, delivery};
use crate::upstream::{OriginalDestination, Upstream};
use anyhow::Context;
use ebb_api::capture::Mode;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long to wait before trying again to open a port that somebody else has.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// A sidecar with its ports open, not serving yet.
#[must_use = "it serves nobody until it runs"]
pub struct Bound {
    config: Config,
    /// How connections reach the relay.
    standing: Standing,
    doors: Vec<Door>,
    admin: Option<TcpListener>,
}

/// A port of the relay.
struct Door {
    /// The port, or 0 where any would do and none was to be had.
    port: u16,
    /// The app's port behind it, where it took over that one's name.
    app: Option<u16>,
    bound: Result<listener::Bound, listener::BindError>,
}

/// Opens the ports. A port that cannot be opened does not keep the pod down, and is tried again;
/// meanwhile connections are observed, and the report says why.
///
/// Where a redirect was asked for the relay's port is opened even if the mark speaks against it, or
/// cannot be read: should the rules be there after all, every connection to the app would be refused.
pub async fn bind(config: Config) -> Bound {
    let capture = config.capture();
    let (mut standing, doors) = match (&config.destination, capture.mode) {
        (OriginalDestination::Fixed(_), _) => (
            Standing::new(Mode::Redirect),
            vec![Door::open(config.relay_port, None)],
        ),
        (_, Mode::Redirect) => (
            Standing::detect(capture.mode).await,
            vec![Door::open(config.relay_port, None)],
        ),
        (_, Mode::NamedPorts) => (
            Standing::detect(capture.mode).await,
            capture
                .ports
                .iter()
                .map(|port| Door::open(port.listen, Some(port.app)))
                .collect(),
        ),
        (_, Mode::Observe) => (Standing::detect(capture.mode).await, Vec::new()),
    };
    for door in &doors {
        if let Err(error) = &door.bound {
            standing.shut(door.port, error.to_string());
        }
    }
    let admin = bind_admin(config.admin_port)
        .await
        .map_err(|error| tracing::error!(port = config.admin_port, %error, "admin port not open"))
        .ok();
    Bound {
        config,
        standing,
        doors,
        admin,
    }
}

// === impl Door ===

impl Door {
    fn open(port: u16, app: Option<u16>) -> Door {
        let bound = listener::bind(port);
        let port = match &bound {
            Ok(bound) => bound.local_addr().port(),
            Err(_) => port,
        };
        Door { port, app, bound }
    }

    /// Relays what comes in, as soon as the port can be had.
    async fn run(self, relay: Relay, messages: mpsc::Sender<Message>) {
        let bound = match self.bound {
            Ok(bound) => bound,
            Err(_) => {
                let bound = bind_relay_at_last(self.port).await;
                // The lifecycle is gone only when the process ends.
                let _ = messages.send(Message::Opened(self.port)).await;
                bound
            }
        };
        bound.run(relay, std::future::pending()).await;
    }
}

// === impl Bound ===

impl Bound {
    /// Where the relay's clients arrive: its first port, if there is one and it is open.
    pub fn relay_address(&self) -> Option<SocketAddr> {
        let bound = self.doors.first()?.bound.as_ref().ok()?;
        Some(bound.local_addr())
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
        let admin_port = self.admin_address().map(|address| address.port());
        let Bound {
            config,
            standing,
            doors,
            admin,
        } = self;
        for step in standing.steps() {
            tracing::warn!(reason = %step.detail, why = %step.why, mode = %standing.mode(), "connections do not reach the relay as they should");
        }
        let census = Census::beside(config.probes(), Instant::now());
        let named = doors.iter().filter_map(|door| Some((door.port, door.app?)));
        let named: BTreeMap<u16, u16> = named.collect();
        let destination = match config.destination {
            OriginalDestination::Redirected if !named.is_empty() => {
                OriginalDestination::NamedPorts(named)
            }
            ref destination => destination.clone(),
        };
        let bootstrap = config.bootstrap.as_ref();
        let proxy_protocol_ports =
            bootstrap.map_or_else(Vec::new, |bootstrap| bootstrap.proxy_protocol_ports.clone());
        let upstream = Upstream::with_proxy_protocol(
            destination,
            standing.over_loopback().to_vec(),
            proxy_protocol_ports.iter().copied(),
        );
        let relay_ports: Vec<u16> = doors.iter().map(|door| door.port).collect();
        let open = doors.iter().filter(|door| door.bound.is_ok());
        let mut ours: BTreeSet<u16> = open.map(|door| door.port).collect();
        ours.insert(admin_port.unwrap_or(config.admin_port));
        ours.extend(
            bootstrap
                .iter()
                .flat_map(|bootstrap| &bootstrap.exclude_ports),
        );
        let mode = standing.mode();
        let (lifecycle, inbox, handles) = Lifecycle::new(
            &config,
            Captured {
                standing,
                ours,
                proxy_protocol_ports,
            },
            census.clone(),
            random_word()?,
        );
        let mut parts = JoinSet::new();
        for door in doors {
            let relay = Relay::new(census.clone(), handles.conduct.clone(), upstream.clone())
                .with_workers(config.workers);
            let door = door.run(relay, handles.messages.clone());
            parts.spawn(async move {
                door.await;
                "relay"
            });
        }
        let metrics = Metrics::new(census.clone(), upstream, handles.published.clone());
        let answers = Admin::new(
            handles.messages.clone(),
            handles.published,
            config.bootstrap.as_ref(),
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
        tracing::info!(%mode, "serving");
        let told = async {
            sigterm.await;
            // The lifecycle receives it, or has ended and needs none.
            let _ = handles.messages.send(Message::Sigterm).await;
            std::future::pending::<()>().await;
        };
        let served = async {
            lifecycle.run(inbox).await;
            delivery::delivered(&census, &relay_ports).await;
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
