//! The PROXY protocol's header: before anything else on every connection to the app, and no part of
//! what is relayed.

use crate::harness::{End, GET, LAST, OK, TestRelay, within};
use ebb_api::report::Protocol::Http1;
use ebb_sidecar::stance::Stance;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::AsyncReadExt;

/// Reads a header as its specification (section 2.2) tells a receiver to, and nothing after it: the
/// client's address, and the one that it connected to.
async fn read_header(app: &mut End) -> (SocketAddr, SocketAddr) {
    let mut fixed = [0; 16];
    let read = within("a header", app.0.read_exact(&mut fixed)).await;
    read.expect("a whole header");
    assert_eq!(
        fixed[..12],
        *b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
    );
    assert_eq!(fixed[12] >> 4, 2, "the version");
    assert_eq!(fixed[12] & 0xf, 1, "the command: PROXY");
    assert_eq!(fixed[13], 0x11, "TCP over IPv4");
    let length = usize::from(fixed[14]) << 8 | usize::from(fixed[15]);
    let mut rest = vec![0; length];
    let read = within("the addresses", app.0.read_exact(&mut rest)).await;
    read.expect("whole addresses");
    let address = |place: usize, port: usize| {
        let octets: [u8; 4] = rest[place..place + 4].try_into().expect("4 bytes");
        let port = u16::from_be_bytes([rest[port], rest[port + 1]]);
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port)
    };
    (address(0, 8), address(4, 10))
}

/// The header names the client and where it connected to; what follows is what the client said, and
/// the trackers know nothing of it. An app that speaks first has it, too.
#[tokio::test]
async fn the_app_is_told_who_its_client_is() {
    let relay = TestRelay::with_proxy_protocol().await;
    let (mut client, mut app) = relay.connect().await;
    let (told, meant) = read_header(&mut app).await;
    assert_eq!(told, client.0.local_addr().expect("an open socket"));
    assert_eq!(meant, relay.address);
    app.say("220 hello\r\n").await;
    client.hear("220 hello\r\n").await;
    drop((client, app));
    let (mut client, mut app) = relay.connect().await;
    client.say([GET, GET].concat()).await;
    read_header(&mut app).await;
    app.hear([GET, GET].concat()).await;
    assert_eq!(relay.in_flight(Http1), 2);
    app.say([OK, OK].concat()).await;
    client.hear([OK, OK].concat()).await;
}

/// When the app is dialed again for a client that stays, the new connection has its header as well,
/// with the same client.
#[tokio::test]
async fn a_second_connection_for_a_client_has_its_own_header() {
    let relay = TestRelay::with_proxy_protocol().await;
    let (mut client, mut app) = relay.connect().await;
    let first = read_header(&mut app).await;
    client.ask(&mut app, OK).await;
    relay.stance(Stance::Parting);
    drop(app);
    // When another connection has been served, the relay has seen the app's end.
    let (mut probe, mut probed) = relay.connect().await;
    read_header(&mut probed).await;
    probe.say("probe").await;
    probed.hear("probe").await;
    client.say(GET).await;
    let mut app = relay.accept().await;
    assert_eq!(read_header(&mut app).await, first);
    app.hear(GET).await;
    app.say(OK).await;
    client.hear(LAST).await;
    client.hear_end().await;
}
