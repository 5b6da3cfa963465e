//! Both ends of a connection, as the test plays them.

use crate::sidecar::PATIENCE;
use ebb_api::report::{Protocol, Report};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::mpsc::Receiver;

/// A client and the app's side of its connection.
pub(crate) fn connection(
    address: IpAddr,
    port: u16,
    app: &Receiver<TcpStream>,
) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect((address, port)).unwrap();
    let served = app.recv_timeout(PATIENCE).expect("the app accepts");
    for end in [&client, &served] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (client, served)
}

/// One side says it, and the other has read it.
pub(crate) fn say(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).unwrap();
    let mut heard = vec![0; text.len()];
    to.read_exact(&mut heard).unwrap();
    assert_eq!(heard, text.as_bytes());
}

/// How many opaque connections there are, and how many of them are in flight.
pub(crate) fn numbers(report: &Report) -> (u64, u64) {
    let of =
        |numbers: &BTreeMap<Protocol, u64>| numbers.get(&Protocol::Opaque).copied().unwrap_or(0);
    (of(&report.now.connections), of(&report.now.in_flight))
}
