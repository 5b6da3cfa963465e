//! A pod in which the relay has taken over the names of the app's ports, without any privilege.

use crate::client::{connection, numbers, say};
use crate::pod::{PodNetwork, connect};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{self, Mode, NamedPort, Wanted};
use ebb_api::phase::{Outcome, Phase};
use ebb_api::report::Protocol;
use ebb_netns::bootstrap;

/// The relay's 18080 is the app's 8080, its 18081 the app's 8081, which is told who the client is.
fn bootstrap() -> Bootstrap {
    let ports = [(18080, 8080), (18081, 8081)].map(|(listen, app)| NamedPort { listen, app });
    Bootstrap {
        exclude_ports: vec![8082],
        proxy_protocol_ports: vec![8081],
        capture: Wanted {
            modes: vec![Mode::NamedPorts],
            ports: ports.to_vec(),
        },
        ..bootstrap::of(bootstrap::short(60))
    }
}

/// IPv4 and IPv6: what comes to the relay's ports gets to the app at the address that the client
/// connected to, and never to one that is open on loopback alone.
#[test]
fn the_relay_stands_before_the_app_s_ports() {
    let pod = PodNetwork::new();
    let app = pod.app("[::]:8080");
    pod.listen("127.0.0.1:8081", "private");
    let sidecar = pod.sidecar(&bootstrap());
    let report = sidecar.report();
    assert_eq!(report.mode, Mode::NamedPorts);
    for address in pod.addresses {
        let (mut client, mut served) = connection(address, 18080, &app);
        say(&mut client, &mut served, "question");
        say(&mut served, &mut client, "answer");
        assert_eq!(
            served.peer_addr().unwrap().ip().to_canonical(),
            address,
            "the app sees the pod's own address"
        );
        let refused = connect(address, 18081);
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(sidecar.metric("ebb_bypassing"), 0);
}

/// A client that found the app's own port is counted and holds the hooks; one that came through the
/// relay is no such client, though its other leg ends at the same port. All of the relay's ports
/// close, and the report names the one that bypassed it.
#[test]
fn a_connection_that_bypasses_the_relay_is_waited_for() {
    let pod = PodNetwork::new();
    let app = pod.app("[::]:8080");
    let other_app = pod.app("[::]:8081");
    let excluded = pod.app("[::]:8082");
    let sidecar = pod.sidecar(&bootstrap());
    let [four, six] = pod.addresses;
    let (mut relayed, mut relayed_app) = connection(four, 18080, &app);
    let (mut bypassing, mut bypassing_app) = connection(six, 8080, &app);
    let _excluded = connection(six, 8082, &excluded);
    let _other = connection(six, 18081, &other_app);
    // A client whom the app has never answered is waited for no longer than one that is silent.
    say(&mut relayed_app, &mut relayed, "greeting");
    say(&mut bypassing_app, &mut bypassing, "greeting");
    sidecar.until("all at rest", |report| numbers(report) == (3, 0));
    say(&mut relayed, &mut relayed_app, "question");
    say(&mut bypassing, &mut bypassing_app, "question");
    let report = sidecar.until("both in flight", |report| numbers(report).1 == 2);
    assert_eq!((numbers(&report).0, report.now.bypassing), (3, 1));
    assert_eq!(sidecar.metric("ebb_bypassing"), 1);
    let hooks = sidecar.call_hooks();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    for port in [18080, 18081] {
        let kind =
            connect(four, port).map_err(|kind| kind == std::io::ErrorKind::ConnectionRefused);
        assert_eq!(kind, Err(true), "the relay has closed {port}");
    }
    say(&mut relayed_app, &mut relayed, "answer");
    sidecar.until("one in flight", |report| numbers(report).1 == 1);
    hooks.are_held("the other client waits");
    say(&mut bypassing_app, &mut bypassing, "answer");
    let last = hooks.released();
    let drain = last.drain.unwrap();
    assert_eq!(
        (last.mode, drain.outcome),
        (Mode::NamedPorts, Outcome::Drained)
    );
    assert_eq!(drain.bypassing, 1);
    assert_eq!(drain.cut.get(&Protocol::Opaque), None);
}

/// A port of the relay that the app has itself does not keep the others from being served; it is
/// told, and its clients bypass the relay.
#[test]
fn a_port_that_the_app_has_itself_is_told() {
    let pod = PodNetwork::new();
    let app = pod.app("[::]:8080");
    let stubborn = pod.app("[::]:18081");
    let sidecar = pod.sidecar(&bootstrap());
    let report = sidecar.report();
    assert_eq!(report.mode, Mode::NamedPorts);
    let reason = capture::sentence(&report.steps).unwrap();
    assert!(reason.contains("can't listen on port 18081"), "{reason}");
    let _relayed = connection(pod.addresses[0], 18080, &app);
    let _bypassing = connection(pod.addresses[0], 18081, &stubborn);
    sidecar.until("one past the relay", |report| {
        (numbers(report).0, report.now.bypassing) == (2, 1)
    });
}
