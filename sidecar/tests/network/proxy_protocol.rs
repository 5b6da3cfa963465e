//! What an app's port is told of its clients by the PROXY protocol.

use crate::client::connection;
use crate::pod::PodNetwork;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{self, Mode, NamedPort, Wanted};
use ebb_api::settings::Settings;
use ebb_netns::bootstrap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

fn bootstrap(mode: Mode) -> Bootstrap {
    let ports = match mode {
        Mode::NamedPorts => vec![NamedPort {
            listen: 18080,
            app: 8080,
        }],
        Mode::Transparent | Mode::Redirect | Mode::Observe => Vec::new(),
    };
    Bootstrap {
        proxy_protocol_ports: vec![8080],
        capture: Wanted {
            modes: vec![mode],
            ports,
        },
        ..bootstrap::of(Settings::without_policy())
    }
}

/// Reads a header as its specification (section 2.2) tells a receiver to: the client's address, and
/// the one that it connected to.
fn read_header(app: &mut TcpStream) -> (SocketAddr, SocketAddr) {
    let mut fixed = [0; 16];
    app.read_exact(&mut fixed).unwrap();
    assert_eq!(
        fixed[..13],
        *b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x21"
    );
    let mut rest = vec![0; usize::from(u16::from_be_bytes([fixed[14], fixed[15]]))];
    app.read_exact(&mut rest).unwrap();
    let width = match (fixed[13], rest.len()) {
        (0x11, 12) => 4,
        (0x21, 36) => 16,
        other => panic!("no family and length of TCP: {other:?}"),
    };
    let address = |number: usize| -> SocketAddr {
        let octets = &rest[number * width..(number + 1) * width];
        let ip = match <[u8; 4]>::try_from(octets) {
            Ok(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
            Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).unwrap())),
        };
        let port = &rest[2 * width + 2 * number..];
        (ip, u16::from_be_bytes([port[0], port[1]])).into()
    };
    (address(0), address(1))
}

/// IPv4 and IPv6, in each mode that has a relay: the app is told the client's own address, and the
/// one that the client connected to.
#[test]
fn the_app_learns_the_client_s_own_address() {
    for (mode, port) in [
        (Mode::Transparent, 8080),
        (Mode::Redirect, 8080),
        (Mode::NamedPorts, 18080),
    ] {
        let pod = PodNetwork::new();
        let bootstrap = bootstrap(mode);
        if bootstrap.capture.needs_init() {
            pod.redirect(&bootstrap);
        }
        let app = pod.app("[::]:8080");
        let _sidecar = pod.sidecar(&bootstrap);
        for address in pod.addresses {
            let (client, mut served) = connection(address, port, &app);
            let expected = (client.local_addr().unwrap(), (address, port).into());
            assert_eq!(read_header(&mut served), expected, "{mode}");
        }
    }
}

/// Where connections do not pass the relay nobody tells the app, and the report says so.
#[test]
fn without_a_relay_nobody_is_told_and_that_is_said() {
    let pod = PodNetwork::new();
    let report = pod.sidecar(&bootstrap(Mode::Observe)).report();
    assert_eq!(report.mode, Mode::Observe);
    let reason = capture::sentence(&report.steps).unwrap();
    assert!(
        reason.contains("no header of the PROXY protocol is written"),
        "{reason}"
    );
    assert!(reason.contains("8080"), "{reason}");
}
