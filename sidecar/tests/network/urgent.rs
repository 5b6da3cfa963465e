//! Urgent data (RFC 6093): the byte that `MSG_OOB` sends keeps its place.

use crate::client::connection;
use crate::pod::PodNetwork;
use ebb_netns::bootstrap;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// Sends three bytes, the one in the middle as urgent, to an end that takes urgent bytes in line.
fn send(from: &mut TcpStream, to: &mut TcpStream) -> Vec<u8> {
    SockRef::from(&*to).set_out_of_band_inline(true).unwrap();
    from.write_all(b"a").unwrap();
    SockRef::from(&*from).send_out_of_band(b"X").unwrap();
    from.write_all(b"b").unwrap();
    from.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    to.read_to_end(&mut heard).unwrap();
    heard
}

/// In both directions, IPv4 and IPv6.
#[test]
fn urgent_bytes_keep_their_place() {
    let pod = PodNetwork::new();
    let bootstrap = bootstrap::of(bootstrap::short(60));
    pod.redirect(&bootstrap);
    let app = pod.app("[::]:8080");
    let _sidecar = pod.sidecar(&bootstrap);
    for address in pod.addresses {
        let (mut client, mut served) = connection(address, 8080, &app);
        assert_eq!(send(&mut client, &mut served), b"aXb");
        assert_eq!(send(&mut served, &mut client), b"aXb");
    }
}
