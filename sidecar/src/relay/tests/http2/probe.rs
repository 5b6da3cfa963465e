//! Kubelet's gRPC probes: an HTTP/2 connection with one request, which is no traffic.

use super::*;
use crate::census::{Census, Peer, Probes, Way};
use ebb_api::bootstrap::{AppContainer, ConnectingProbe, ProbeKind};
use std::net::{IpAddr, Ipv4Addr};

const PORT: u16 = 9090;

/// Connections of kubelet to a port that it probes each 10 s; two pods would not know more.
fn probed(census: &std::sync::Arc<Census>, now: Instant) -> Played {
    let kubelet = Peer {
        client: (kubelet(), 40_000).into(),
        port: PORT,
        ..Peer::nobody()
    };
    let line = census.connect(Way::Relayed, kubelet);
    let mut played = Played::new(false);
    played.connection.exchange = Exchange::new(line);
    played.census = census.clone();
    played.now = now;
    played.client(PREFACE);
    played.client(&settings());
    played.app(&settings());
    played.forget();
    played
}

fn kubelet() -> IpAddr {
    Ipv4Addr::new(198, 18, 0, 1).into()
}

fn census(now: Instant) -> std::sync::Arc<Census> {
    let container = AppContainer {
        name: "app".to_owned(),
        ports: Vec::new(),
        probes: vec![ConnectingProbe {
            port: PORT,
            period_seconds: 10,
            kind: ProbeKind::Grpc,
        }],
        restart_grace_seconds: None,
        own_hook: None,
    };
    Census::beside(Probes::of(&[container]), now)
}

/// A probe is no work and not in flight, answered or not, and goes as it came.
#[test]
fn a_probe_is_no_traffic() {
    let now = Instant::now();
    let census = census(now);
    census.probes_come_from(kubelet());
    let mut played = probed(&census, now);
    let ask = [frame(1, 0x4, 1, b"head"), frame(0, 0x1, 1, b"\0\0\0\0\0")].concat();
    for byte in &ask {
        played.client(&[*byte]);
    }
    assert_eq!(played.to_app(), ask);
    assert_eq!(played.in_flight(), 0);
    assert!(played.connection.exchange.is_idle(played.now));
    played.app(&answer(1));
    assert_eq!(played.heard(), answer(1));
    let snapshot = census.snapshot(played.now);
    assert_eq!((snapshot.work, snapshot.finished), (0, 0));
    assert_eq!(snapshot.connections[&Protocol::Http2], 1);

    let mut hung = probed(&census, now + Duration::from_secs(10));
    hung.client(&request(1));
    assert_eq!(hung.in_flight(), 0);
    let exchange = &mut hung.connection.exchange;
    exchange.app_closed(AppClosed::First, hung.now);
    assert_eq!(hung.in_flight(), 0);
    assert!(census.snapshot(hung.now).broken.is_empty());
}

/// Whoever makes a second request is a client, whose first one counts, too.
#[test]
fn two_requests_are_a_client_s() {
    let now = Instant::now();
    let census = census(now);
    census.probes_come_from(kubelet());
    let mut played = probed(&census, now);
    played.client(&request(1));
    played.pass(MS);
    played.client(&request(3));
    assert_eq!(played.in_flight(), 2);
    assert!(!played.connection.exchange.is_idle(played.now));
    let snapshot = census.snapshot(played.now);
    assert_eq!((snapshot.work, snapshot.last_work), (2, Some(played.now)));
    played.app(&[answer(1), answer(3)].concat());
    assert_eq!((played.in_flight(), census.snapshot(now).finished), (0, 2));
}

/// So is one that takes longer than a probe's period, whether anything moves or not.
#[test]
fn what_takes_too_long_is_a_client_s() {
    let now = Instant::now();
    let census = census(now);
    census.probes_come_from(kubelet());
    let mut played = probed(&census, now);
    played.client(&request(1));
    played.leave(true);
    played.pass(Duration::from_secs(2));
    assert_eq!(played.in_flight(), 0);
    let over = now + Duration::from_secs(10);
    assert_eq!(played.connection.exchange.wakes_at(played.now), Some(over));
    played.pass(Duration::from_secs(8));
    assert_eq!(played.in_flight(), 1);
    played.app(&answer(1));
    assert_eq!((played.in_flight(), census.snapshot(now).finished), (0, 1));
}

/// So is a connection beyond the one of the period, and any before kubelet's address is known.
#[test]
fn one_too_many_is_a_client() {
    let now = Instant::now();
    let census = census(now);
    let mut before = probed(&census, now);
    before.client(&request(1));
    assert_eq!(before.in_flight(), 1);
    census.probes_come_from(kubelet());
    let mut probe = probed(&census, now);
    probe.client(&request(1));
    assert_eq!(probe.in_flight(), 1);
    let mut client = probed(&census, now);
    client.client(&request(1));
    assert_eq!(client.in_flight(), 2);
}
