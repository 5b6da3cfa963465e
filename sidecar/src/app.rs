//! The wiring: which parts there are, what connects them, and who watches over whom.
//!
//! ```text
//!   kubelet, controller --> admin --Message--> lifecycle --Conduct--> relay
//!                                                  ^                  |
//!                                                  +----- census <-----+
//! ```
//!
//! One thread runs the connections and decides about them: a pod's sidecar has a fraction of a
//! core, and connections do not get faster by moving between threads. Where the configuration asks
//! for more (`workers`), connections run on others. The admin port has a thread of its own, or
//! kubelet's probe would wait for a thousand busy connections, and they for a scrape.

mod ports;

use crate::admin::{Admin, Metrics};
use crate::capture::{Asked, Effective};
use crate::census::Census;
use crate::config::Config;
use crate::lifecycle::{Captured, Lifecycle, Message};
use crate::memory::Memory;
use crate::relay::{Relay, delivery};
use crate::upstream::Upstream;
use anyhow::Context;
use ports::{AdminPort, RelayPort};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A sidecar with its ports open, not serving yet.
#[must_use = "it serves nobody until it runs"]
pub struct Bound {
    config: Config,
    /// How connections reach the relay.
    effective: Effective,
    relay_ports: Vec<RelayPort>,
    admin_port: AdminPort,
}

/// Opens the ports. A port that cannot be opened does not keep the pod down, and is tried again;
/// meanwhile its mode is stepped down from, and the report says why.
pub async fn bind(config: Config) -> Bound {
    let mut effective = Effective::find(Asked::from(&config)).await;
    let ports = effective.path().ports.iter();
    let relay_ports: Vec<RelayPort> = ports.copied().map(RelayPort::open).collect();
    for port in &relay_ports {
        if let Err(error) = port.address() {
            effective.shut(port.number(), error.into());
        }
    }
    let admin_port = AdminPort::open(config.admin_port);
    Bound {
        config,
        effective,
        relay_ports,
        admin_port,
    }
}

// === impl Bound ===

impl Bound {
    /// Where the relay's clients arrive: its first port, if there is one and it is open.
    pub fn relay_address(&self) -> Option<SocketAddr> {
        self.relay_ports.first()?.address().ok()
    }

    /// Where hooks, probes and the controller arrive, if the port is open.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_port.address()
    }

    /// Serves until `sigterm` is ready and nothing is left to relay.
    ///
    /// # Errors
    ///
    /// Fails when a part ended that must live as long as the process; kubelet then starts a new
    /// one.
    pub async fn run(self, sigterm: impl Future<Output = ()>) -> anyhow::Result<()> {
        let ours = self.ours();
        let Bound {
            config,
            effective,
            relay_ports,
            admin_port,
        } = self;
        let path = effective.path().clone();
        for step in effective.steps() {
            tracing::warn!(reason = %step.detail, why = %step.why, mode = %path.mode, "connections do not reach the relay as they should");
        }
        let census = Census::beside(config.probes(), Instant::now());
        let memory = Arc::new(Memory::of_this_process());
        let ports = config.proxy_protocol_ports().iter().copied();
        let upstream = Upstream::of(path.origin, path.approach, ports).with_memory(memory);
        let upstream = Arc::new(upstream);
        let captured = Captured {
            effective,
            upstream: upstream.clone(),
            ours,
        };
        let (lifecycle, inbox, handles) =
            Lifecycle::new(&config, captured, census.clone(), random_word()?);
        let mut parts = JoinSet::new();
        for port in relay_ports {
            let relay = Relay::new(census.clone(), handles.conduct.clone(), upstream.clone())
                .with_workers(config.workers);
            let port = port.run(relay, handles.messages.clone());
            parts.spawn(async move {
                port.await;
                "relay"
            });
        }
        let metrics = Metrics::new(census.clone(), upstream.clone(), handles.published.clone());
        let admin = Admin::new(
            handles.messages.clone(),
            handles.published,
            config.bootstrap.as_ref(),
            config.key.clone(),
            metrics,
        );
        // Dropped with this run, which ends the thread.
        let (_running, end) = oneshot::channel();
        parts.spawn_blocking(move || {
            if let Err(error) = admin_port.run(admin, end) {
                tracing::error!(%error, "admin port without a runtime");
            }
            "admin port"
        });
        tracing::info!(mode = %path.mode, "serving");
        let told = async {
            sigterm.await;
            // The lifecycle receives it, or has ended and needs none.
            let _ = handles.messages.send(Message::Sigterm).await;
            std::future::pending::<()>().await;
        };
        let served = async {
            lifecycle.run(inbox).await;
            delivery::delivered(&census, &upstream).await;
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

    /// Ports to which connections are not the app's: those of ours that are open, and those that
    /// the policy excludes.
    fn ours(&self) -> BTreeSet<u16> {
        let open = self.relay_ports.iter().filter(|it| it.address().is_ok());
        let excluded = self.config.bootstrap.iter();
        open.map(RelayPort::number)
            .chain([self.admin_port.number()])
            .chain(excluded.flat_map(|bootstrap| bootstrap.exclude_ports.iter().copied()))
            .collect()
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
