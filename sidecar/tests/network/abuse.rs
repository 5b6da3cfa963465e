//! Limits that are reached, and clients that vanish: what is there is served, memory stays bounded,
//! and a drain ends.

use crate::descriptors;
use crate::pod::{PodNetwork, launch_after};
use crate::sidecar::PATIENCE;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::phase::Outcome;
use ebb_netns::bootstrap;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::Duration;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A drain of at most 4 s.
fn bootstrap() -> Bootstrap {
    bootstrap::of(bootstrap::short(4))
}

/// A client in the app's port, which has asked.
fn ask(address: IpAddr) -> TcpStream {
    let mut client = TcpStream::connect((address, 8080)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(GET).unwrap();
    client
}

/// The app's side of the next request.
fn asked(app: &Receiver<TcpStream>) -> TcpStream {
    let mut served = app.recv_timeout(PATIENCE).expect("the app accepts");
    let mut heard = vec![0; GET.len()];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(heard, GET);
    served
}

/// With its file descriptors used up the relay serves whom it has, and leaves the others in the
/// kernel's queue until there is room, where nothing is lost; the hooks are heard all the same.
#[test]
fn descriptors_that_ran_out() {
    const ALL: usize = 60;
    const ROOM: usize = 37;
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    let app = pod.app("[::]:8080");
    let address = pod.addresses[0];
    let sidecar = pod.sidecar_by(&launch_after("ulimit -n 100", &bootstrap()));
    let mut clients: Vec<_> = (0..ALL).map(|_| ask(address)).collect();
    let first: Vec<_> = (0..ROOM).map(|_| asked(&app)).collect();
    assert!(sidecar.metric("ebb_accept_errors_total") > 0);
    assert!(app.try_recv().is_err(), "there is no room for more");
    let answer = |mut served: TcpStream, client: &mut TcpStream| {
        served.write_all(OK).unwrap();
        let mut heard = vec![0; OK.len()];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(heard, OK);
    };
    let mut rest = clients.split_off(ROOM);
    for (served, mut client) in first.into_iter().zip(clients) {
        answer(served, &mut client);
    }
    for client in &mut rest {
        answer(asked(&app), client);
    }
    drop(rest);
    sidecar.until("all to have gone", |report| {
        report.now.connections.is_empty()
    });
    let _clients: Vec<_> = (0..ALL).map(|_| ask(address)).collect();
    let _served: Vec<_> = (0..ROOM).map(|_| asked(&app)).collect();
    let drain = sidecar.call_hooks().released().drain.unwrap();
    assert_eq!(drain.outcome, Outcome::TimedOut);
}

/// Clients that vanish without a word: what the app answers is done with, what they began to say is
/// waited for until the deadline and no longer.
#[test]
fn clients_that_vanish() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap());
    // An address that only these clients have.
    let outside = pod.second_outside();
    let connect = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(outside, 0).into()).unwrap();
        let to = SocketAddr::new(pod.addresses[0], 8080);
        socket.connect(&to.into()).unwrap();
        TcpStream::from(socket)
    };
    let mut answered = connect();
    answered.write_all(GET).unwrap();
    let mut answers = asked(&app);
    let mut silent = connect();
    silent
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nx")
        .unwrap();
    let _waits = app.recv_timeout(PATIENCE).expect("the app accepts");
    sidecar.until("both in flight", |report| {
        report.now.in_flight.values().sum::<u64>() == 2
    });
    pod.remove_outside(outside);
    answers.write_all(OK).unwrap();
    sidecar.until("the answered one to be done with", |report| {
        report.now.in_flight.values().sum::<u64>() == 1
    });
    let drain = sidecar.call_hooks().released().drain.unwrap();
    assert_eq!(drain.outcome, Outcome::TimedOut);
}

/// Of what clients don't read the relay keeps a bounded number of bytes for each, and the deadline
/// ends them.
#[test]
fn clients_that_never_read() {
    const CLIENTS: u64 = 50;
    const PIECE: u64 = 64 * 1024;
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    // What the kernel keeps is not what this is about.
    for buffer in ["tcp_rmem", "tcp_wmem"] {
        pod.set(&format!("net/ipv4/{buffer}"), "4096 16384 65536");
    }
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap());
    let before = sidecar.resident();
    let mut ends = Vec::new();
    for _ in 0..CLIENTS {
        let client = ask(pod.addresses[0]);
        let _ = SockRef::from(&client).set_recv_buffer_size(4096);
        ends.push((client, asked(&app)));
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30);
    let piece = vec![b'x'; 64 * 1024];
    for (_, served) in &mut ends {
        served.write_all(head.as_bytes()).unwrap();
        served
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let full = loop {
            if let Err(error) = served.write(&piece) {
                break error.kind();
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock, "the app is held back");
    }
    let each = (sidecar.resident() - before) / CLIENTS;
    assert!(each < 2 * PIECE, "{each} bytes for each client");
    let drain = sidecar.call_hooks().released().drain.unwrap();
    assert_eq!(drain.outcome, Outcome::TimedOut);
}

/// As many connections to one port as there are ports to come from, or as the file descriptors of
/// this machine allow: two for each in the sidecar, and two here.
#[test]
fn every_port_of_a_client() {
    let turn = descriptors::turn();
    let all = 28_000.min(turn.all.saturating_sub(700) / 2);
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap());
    let before = sidecar.resident();
    let mut ends = Vec::new();
    for _ in 0..all {
        let client = TcpStream::connect((pod.addresses[0], 8080)).unwrap();
        let served = app.recv_timeout(PATIENCE);
        let served = served.unwrap_or_else(|_| panic!("the app has accepted {}", ends.len()));
        ends.push((client, served));
    }
    let report = sidecar.report();
    assert_eq!(report.now.connections.values().sum::<u64>(), all);
    let each = (sidecar.resident() - before) / all;
    assert!(each < 4096, "{each} bytes for each connection");
    let (client, served) = ends.last_mut().unwrap();
    client.write_all(GET).unwrap();
    served.read_exact(&mut [0; GET.len()]).unwrap();
    let hooks = sidecar.call_hooks();
    served.write_all(OK).unwrap();
    let drain = hooks.released().drain.unwrap();
    assert_eq!(drain.outcome, Outcome::Drained);
}
