//! What the probes of the app's containers mean for a drain.

use super::grace::Grace;
use super::hooks::port_number;
use ebb_api::bootstrap::{ConnectingProbe, ProbeKind};
use k8s_openapi::api::core::v1::{Container, Probe};

/// What is added to the original grace for liveness and startup kills: the sidecar holds the hook
/// of a container that kubelet restarts for at most this long, and the app keeps its own time.
const RESTART_HOLD_SECONDS: u32 = 10;

/// Kubernetes' default for `periodSeconds`.
const DEFAULT_PERIOD_SECONDS: u32 = 10;

/// A probe of a container that gets a grace period of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeGrace {
    /// The probe's field in the container.
    pub field: &'static str,
    /// In seconds.
    pub seconds: u32,
}

/// What kubelet does to a container whose liveness or startup probe fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RestartGrace {
    /// The probes that have none of their own and need one: with the pod's raised grace, a hung app
    /// would hang for minutes before it is killed.
    pub missing: Vec<ProbeGrace>,
    /// The shortest grace of all, in seconds, once those are set.
    pub shortest_seconds: Option<u32>,
}

/// The grace of a container's liveness and startup probes, in a pod of this grace.
pub(super) fn restart_grace(container: &Container, pod: Grace) -> RestartGrace {
    let mut grace = RestartGrace::default();
    for (field, probe) in [
        ("livenessProbe", &container.liveness_probe),
        ("startupProbe", &container.startup_probe),
    ] {
        let Some(probe) = probe else { continue };
        let seconds = match probe.termination_grace_period_seconds {
            Some(seconds) => u32::try_from(seconds).unwrap_or(0),
            // The pod's grace was not raised, so these kills take no longer than before.
            None if pod.raised == pod.original => pod.original,
            None => {
                let seconds = pod.original.saturating_add(RESTART_HOLD_SECONDS);
                grace.missing.push(ProbeGrace { field, seconds });
                seconds
            }
        };
        let shortest = grace.shortest_seconds.get_or_insert(seconds);
        *shortest = seconds.min(*shortest);
    }
    grace
}

/// The probes of a container that look like a client's connection.
pub(super) fn connecting(container: &Container) -> Vec<ConnectingProbe> {
    let probes = [
        &container.liveness_probe,
        &container.readiness_probe,
        &container.startup_probe,
    ];
    probes
        .into_iter()
        .flatten()
        .filter_map(|probe| {
            let (kind, port) = connects_to(probe, container)?;
            Some(ConnectingProbe {
                port,
                period_seconds: probe
                    .period_seconds
                    .and_then(|period| u32::try_from(period).ok())
                    .filter(|period| *period != 0)
                    .unwrap_or(DEFAULT_PERIOD_SECONDS),
                kind,
            })
        })
        .collect()
}

fn connects_to(probe: &Probe, container: &Container) -> Option<(ProbeKind, u16)> {
    if let Some(tcp) = &probe.tcp_socket {
        let elsewhere = tcp.host.as_deref().is_some_and(|host| !host.is_empty());
        let port = port_number(&tcp.port, container)?;
        return (!elsewhere).then_some((ProbeKind::TcpSocket, port));
    }
    let grpc = probe.grpc.as_ref()?;
    Some((ProbeKind::Grpc, u16::try_from(grpc.port).ok()?))
}
