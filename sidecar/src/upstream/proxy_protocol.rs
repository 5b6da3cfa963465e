//! The PROXY protocol, version 2 (HAProxy's specification, section 2.2): a header before the first
//! byte that tells the app who the client is.

use crate::track::proxy_protocol::SIGNATURE;
use std::net::{IpAddr, SocketAddr};

/// Version 2, and the command PROXY: the connection is somebody else's.
const VERSION_AND_COMMAND: u8 = 0x21;

/// TCP over IPv4, TCP over IPv6.
const FAMILIES: (u8, u8) = (0x11, 0x21);

/// The header for a connection that `client` made to `destination`. IPv4 mapped into IPv6 is
/// written as IPv4.
pub(super) fn header(client: SocketAddr, destination: SocketAddr) -> Box<[u8]> {
    let (family, addresses) = match (client.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(destination)) => {
            let addresses = [client.octets(), destination.octets()].concat();
            (FAMILIES.0, addresses)
        }
        (client, destination) => {
            let addresses = [v6(client), v6(destination)].concat();
            (FAMILIES.1, addresses)
        }
    };
    let ports = [
        client.port().to_be_bytes(),
        destination.port().to_be_bytes(),
    ]
    .concat();
    let length = u16::try_from(addresses.len() + ports.len()).expect("at most 36 bytes");
    [
        &SIGNATURE[..],
        &[VERSION_AND_COMMAND, family],
        &length.to_be_bytes(),
        &addresses,
        &ports,
    ]
    .concat()
    .into()
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(client: &str, destination: &str) -> Box<[u8]> {
        header(client.parse().unwrap(), destination.parse().unwrap())
    }

    /// The bytes, as the specification draws them.
    #[test]
    fn a_header_is_what_the_specification_says() {
        let four = told("192.0.2.1:4660", "198.51.100.2:80");
        let expected = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\
                         \xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x00\x50";
        assert_eq!(*four, expected[..]);
        let six = told("[2001:db8::1]:4660", "[2001:db8::2]:80");
        assert_eq!(six[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(six[16..20], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((six[31], six[47]), (1, 2));
        assert_eq!(six[48..], [0x12, 0x34, 0, 80]);
    }

    /// A client of IPv4 on a socket of both families is one of IPv4.
    #[test]
    fn mapped_addresses_are_told_as_ipv4() {
        let mapped = told("[::ffff:192.0.2.1]:4660", "[::ffff:198.51.100.2]:80");
        assert_eq!(mapped, told("192.0.2.1:4660", "198.51.100.2:80"));
    }
}
