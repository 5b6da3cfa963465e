//! A container's limit of memory, in a real control group: nothing that is open is lost to it.
//! Without what is shown here the kernel kills the process, and each of these tests fails.

use crate::descriptors;
use crate::pod::{PodNetwork, launch_after};
use crate::sidecar::{PATIENCE, Sidecar};
use ebb_api::bootstrap::Bootstrap;
use ebb_netns::bootstrap;
use ebb_netns::memory_group::MemoryGroup;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

const MIB: u64 = 1 << 20;

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A frame that ends the message "hi", masked with zeros by the client, and not by the app.
const FROM_CLIENT: &[u8] = b"\x81\x82\0\0\0\0hi";
const FROM_APP: &[u8] = b"\x81\x02hi";

fn bootstrap() -> Bootstrap {
    bootstrap::of(bootstrap::short(4))
}

/// A sidecar that may have so much memory and no more. The group goes last.
fn limited(pod: &PodNetwork, limit: u64) -> (MemoryGroup, Sidecar) {
    pod.redirect(&bootstrap());
    let group = MemoryGroup::make(limit).unwrap();
    let sidecar = pod.sidecar_by(&launch_after(&group.enter(), &bootstrap()));
    (group, sidecar)
}

fn connect(address: IpAddr) -> TcpStream {
    let client = TcpStream::connect((address, 8080)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn hear(stream: &mut TcpStream, text: &[u8]) {
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, text);
}

/// With its memory used up by idle WebSockets the relay serves whom it has, and leaves the others
/// in the kernel's queue until there is room. It says so, and kubelet's probe, the status and the
/// hooks are answered all the same.
#[test]
fn idle_connections_that_fill_it() {
    const ALL: usize = 2500;
    let _turn = descriptors::turn();
    let pod = PodNetwork::new();
    let (_group, sidecar) = limited(&pod, 24 * MIB);
    pod.serve("[::]:8080", |mut served| {
        thread::spawn(move || {
            hear(&mut served, UPGRADE);
            served.write_all(UPGRADED).unwrap();
            let mut frame = [0; FROM_CLIENT.len()];
            while served.read_exact(&mut frame).is_ok() {
                served.write_all(FROM_APP).unwrap();
            }
        });
    });
    let mut clients: Vec<_> = (0..ALL).map(|_| connect(pod.addresses[0])).collect();
    for client in &mut clients {
        client.write_all(UPGRADE).unwrap();
    }
    let waits =
        |report: &ebb_api::report::Report| report.memory.is_some_and(|it| it.waiting_ms.is_some());
    let report = sidecar.until("new connections to wait", waits);
    assert_eq!(report.memory.unwrap().limit_bytes, 24 * MIB);
    let open = usize::try_from(report.now.connections.values().sum::<u64>()).unwrap();
    assert!((100..ALL).contains(&open), "{open} are open");
    assert_eq!(sidecar.metric("ebb_memory_waiting"), 1);
    assert!(sidecar.metric("ebb_memory_waits_total") > 0);
    assert!(sidecar.is_ready());
    // Each of those that are in lives, and each of the others gets in when they leave.
    for mut client in clients {
        hear(&mut client, UPGRADED);
        client.write_all(FROM_CLIENT).unwrap();
        hear(&mut client, FROM_APP);
    }
    sidecar.until("nobody to wait", |report| !waits(report));
    sidecar.call_hooks().released();
}

/// Clients that do not take what they asked for: the relay keeps no more of it than there is room
/// for, the app is held back, and each gets all of it in the end.
#[test]
fn slow_readers_of_large_bodies() {
    const CLIENTS: usize = 400;
    const BODY: usize = 2 << 20;
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let pod = PodNetwork::new();
    // What the kernel keeps is not what this is about, but for less the relay never reads much.
    pod.set("net/ipv4/tcp_rmem", "4096 131072 524288");
    pod.set("net/ipv4/tcp_wmem", "4096 65536 262144");
    let (group, sidecar) = limited(&pod, 16 * MIB);
    let (tell, held_back) = channel();
    pod.serve("[::]:8080", move |mut served| {
        let tell = tell.clone();
        thread::spawn(move || {
            hear(&mut served, GET);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
            served.write_all(head.as_bytes()).unwrap();
            let body = vec![b'x'; BODY];
            let mut rest = &body[..];
            served
                .set_write_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            // Until it is all gone, or nobody takes any.
            while let Ok(written @ 1..) = served.write(rest) {
                rest = &rest[written..];
            }
            tell.send(rest.len()).unwrap();
            served.set_write_timeout(None).unwrap();
            served.write_all(rest).unwrap();
        });
    });
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(pod.addresses[0])).collect();
    for client in &mut clients {
        client.write_all(GET).unwrap();
    }
    for _ in 0..CLIENTS {
        let rest = held_back.recv_timeout(PATIENCE).expect("the app is asked");
        assert!(rest > 0, "the app is held back");
    }
    let used = group.used().unwrap();
    assert!(used < 14 * MIB, "{used} bytes");
    assert!(sidecar.is_ready());
    for client in &mut clients {
        let mut answer = Vec::new();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n";
        hear(client, head);
        client.take(BODY as u64).read_to_end(&mut answer).unwrap();
        assert!(answer.len() == BODY && answer.iter().all(|byte| *byte == b'x'));
    }
    drop(clients);
    sidecar.call_hooks().released();
}
