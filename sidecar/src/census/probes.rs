//! Kubelet's probes, which are no traffic: a connection that one of them makes is no work, not
//! late, and not in flight.
//!
//! Most are known without any of this. Those over HTTP say who they are, and a `tcpSocket` probe
//! sends not a byte, which is nothing in flight and no work. What is left are gRPC probes: an
//! HTTP/2 connection with one request, of which the headers are not opened. One connection for each
//! probe's period is taken for it, on the probe's port, from the address that calls the hooks
//! (kubelet's), and only as long as it has one request, for no longer than that period. Behind a
//! node that hides its clients' addresses (`externalTrafficPolicy: Cluster`) no more than that is
//! mistaken. Before the first hook call no connection is taken for a probe, since kubelet's address
//! is not known. No drain is under way then; a probe of that time can make a drain that begins
//! within the policy's quiet time longer by that time at most.

use ebb_api::bootstrap::{AppContainer, ProbeKind};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How much a probe may be off its time, because the node was slow with it or with the one before.
const JITTER: Duration = Duration::from_secs(1);

/// The probes of a pod that can't be told from clients by their bytes.
#[derive(Debug, Default)]
pub struct Probes {
    /// Where kubelet calls from.
    caller: Option<IpAddr>,
    expected: Vec<Expected>,
}

#[derive(Debug)]
struct Expected {
    port: u16,
    period: Duration,
    /// When the next one is due; `None` before the first.
    next: Option<Instant>,
}

impl Probes {
    /// Those of the app's containers.
    pub fn of(containers: &[AppContainer]) -> Probes {
        let probes = containers.iter().flat_map(|container| &container.probes);
        let expected = probes.filter(|probe| probe.kind == ProbeKind::Grpc);
        Probes {
            caller: None,
            expected: expected
                .map(|probe| Expected {
                    port: probe.port,
                    period: Duration::from_secs(probe.period_seconds.into()),
                    next: None,
                })
                .collect(),
        }
    }

    /// Kubelet called from this address.
    pub fn come_from(&mut self, caller: IpAddr) {
        self.caller = Some(caller);
    }

    /// True if some probe connects to this port.
    pub fn connect_to(&self, port: u16) -> bool {
        self.expected.iter().any(|probe| probe.port == port)
    }

    /// Whether a connection from `from` to this port, with its first request at `now`, is one of a
    /// probe: if so, when that must be over, which is when the next one is due.
    pub fn include(&mut self, from: IpAddr, port: u16, now: Instant) -> Option<Instant> {
        if self.caller != Some(from) {
            return None;
        }
        let due = |probe: &&mut Expected| {
            let soon = now + probe.jitter();
            probe.port == port && probe.next.is_none_or(|next| next <= soon)
        };
        let probe = self.expected.iter_mut().find(due)?;
        // Counted from when it was due and not from now, so that early ones don't add up.
        let due = match probe.next {
            Some(next) if now <= next + probe.jitter() => next,
            _ => now,
        };
        probe.next = Some(due + probe.period);
        Some(now + probe.period)
    }
}

impl Expected {
    fn jitter(&self) -> Duration {
        JITTER.min(self.period / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::bootstrap::ConnectingProbe;

    const KUBELET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1));
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 2));

    /// Two gRPC probes of one port with periods of 10 s and 4 s, and a `tcpSocket` probe of
    /// another.
    fn probes() -> Probes {
        let probe = |port, period_seconds, kind| ConnectingProbe {
            port,
            period_seconds,
            kind,
        };
        let container = AppContainer {
            name: "app".to_owned(),
            ports: Vec::new(),
            probes: vec![
                probe(9090, 10, ProbeKind::Grpc),
                probe(9090, 4, ProbeKind::Grpc),
                probe(8080, 10, ProbeKind::TcpSocket),
            ],
            restart_grace_seconds: None,
            own_hook: None,
        };
        let mut probes = Probes::of(&[container]);
        probes.come_from(KUBELET);
        probes
    }

    fn of_period(seconds: u64) -> Probes {
        let mut probes = probes();
        probes
            .expected
            .retain(|probe| probe.period == Duration::from_secs(seconds));
        probes
    }

    /// Only what comes from kubelet, to a port that is probed by gRPC, is a probe.
    #[test]
    fn others_are_clients() {
        let now = Instant::now();
        let mut probes = probes();
        assert!(probes.connect_to(9090) && !probes.connect_to(8080));
        assert_eq!(probes.include(CLIENT, 9090, now), None);
        assert_eq!(probes.include(KUBELET, 8080, now), None);
        let over = now + Duration::from_secs(10);
        assert_eq!(probes.include(KUBELET, 9090, now), Some(over));
        let mut unknown = Probes {
            caller: None,
            ..probes
        };
        assert_eq!(unknown.include(KUBELET, 9090, now), None);
    }

    /// Each probe is one connection in its period, and the one beyond is a client.
    #[test]
    fn one_connection_in_each_period() {
        let start = Instant::now();
        let mut probes = probes();
        assert!(probes.include(KUBELET, 9090, start).is_some());
        assert!(probes.include(KUBELET, 9090, start).is_some());
        assert_eq!(probes.include(KUBELET, 9090, start), None);
        let mut included = 0;
        for tenths in 1..=1200 {
            let now = start + Duration::from_millis(100 * tenths);
            included += u32::from(probes.include(KUBELET, 9090, now).is_some());
        }
        assert!((42..=43).contains(&included), "{included} in 120 s");
    }

    /// A probe that is a little early is known; what is early again and again is a client.
    #[test]
    fn early_ones_do_not_add_up() {
        let start = Instant::now();
        let mut kubelet = of_period(10);
        for (probe, jitter) in [0, 200, -300, 400, -900, 0].into_iter().enumerate() {
            let millis = 1000 + 10_000 * probe as i64 + jitter;
            let now = start + Duration::from_millis(millis.unsigned_abs());
            assert!(kubelet.include(KUBELET, 9090, now).is_some(), "{probe}");
        }
        let mut client = of_period(10);
        let early = (0..20).filter(|count| {
            let now = start + Duration::from_millis(9_100) * *count;
            client.include(KUBELET, 9090, now).is_some()
        });
        assert!(early.count() < 20);
    }
}
