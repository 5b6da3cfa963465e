//! What the rules of the transparent mode do, which only a kernel can tell.

use crate::client::{connection, numbers, say};
use crate::pod::{PodNetwork, connect, launch};
use crate::sidecar::{PATIENCE, Sidecar};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Wanted, Why};
use ebb_api::phase::{Outcome, Phase};
use ebb_api::report::Protocol;
use ebb_netns::bootstrap;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// A drain of at most a minute; one port is left alone.
fn bootstrap() -> Bootstrap {
    Bootstrap {
        exclude_ports: vec![8081],
        capture: Wanted::only(Mode::Transparent),
        ..bootstrap::of(bootstrap::short(60))
    }
}

/// A pod with the rules, and its sidecar.
pub(crate) fn protected() -> (PodNetwork, Sidecar) {
    let pod = PodNetwork::new();
    let (output, mark) = pod.redirect(&bootstrap());
    assert_eq!(mark, "ebb \"Transparent\"", "{output:?}");
    let sidecar = pod.sidecar(&bootstrap());
    let report = sidecar.report();
    assert_eq!((report.mode, report.steps), (Mode::Transparent, vec![]));
    (pod, sidecar)
}

/// Which address the peer of this end has; IPv4 is not mapped into IPv6.
pub(crate) fn peer(end: &TcpStream) -> SocketAddr {
    let peer = end.peer_addr().unwrap();
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// A client that connects from this port, whatever of earlier connections still holds it.
fn connect_from(source: SocketAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(source))?;
    socket.connect_timeout(&SockAddr::from(to), PATIENCE)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// IPv4 and IPv6, a listener of both families and one of IPv4: the app sees the client's own
/// address and port, and the connection passes the relay. Ports that nobody listens on stay
/// refused, excluded ports and what comes from inside the pod do not pass the relay.
#[test]
fn the_app_sees_its_clients() {
    let (pod, sidecar) = protected();
    let app = pod.app("[::]:8080");
    let four_alone = pod.app("0.0.0.0:8082");
    let excluded = pod.app("[::]:8081");
    let [four, six] = pod.addresses;
    let mut open = Vec::new();
    for (address, port, app) in [
        (four, 8080, &app),
        (six, 8080, &app),
        (four, 8082, &four_alone),
    ] {
        let (mut client, mut served) = connection(address, port, app);
        assert_eq!(peer(&served), client.local_addr().unwrap());
        say(&mut client, &mut served, "question");
        say(&mut served, &mut client, "answer");
        open.push((client, served));
    }
    assert_eq!(numbers(&sidecar.report()).0, 3);
    let _excluded = connection(four, 8081, &excluded);
    let _inside = pod.open_inside((six, 8080).into(), "x");
    let inside = app.recv_timeout(PATIENCE).expect("the app accepts");
    assert_eq!(peer(&inside).ip(), six);
    let report = sidecar.report();
    assert_eq!((numbers(&report).0, report.now.bypassing), (3, 0));
    for (address, port) in [(four, 8083), (six, 8083), (six, 8082), (four, 17442)] {
        let refused = connect(address, port);
        assert_eq!(
            refused,
            Err(ErrorKind::ConnectionRefused),
            "{address} {port}"
        );
    }
}

/// No connection is tracked or translated in the pod, and a second run of the step changes nothing.
#[test]
fn nothing_is_tracked_and_a_second_run_changes_nothing() {
    let pod = PodNetwork::new();
    let mut seen = Vec::new();
    for _ in 0..2 {
        pod.redirect(&bootstrap());
        seen.push([
            pod.ip("address show dev lo"),
            pod.ip("-4 rule"),
            pod.ip("-6 rule"),
            pod.ip("-4 route show table 17440"),
            pod.ip("-6 route show table 17440"),
        ]);
    }
    assert_eq!(seen[0], seen[1]);
    pod.listen("[::]:8080", "app");
    let _sidecar = pod.sidecar(&bootstrap());
    for address in pod.addresses {
        // The app would know of an original destination if the kernel tracked the connection.
        assert_eq!(connect(address, 8080), Ok("app".to_owned()));
    }
}

/// A pod without IPv6 gets no address of it, from which programs would conclude that they have
/// IPv6; and the one of IPv4 is none for use beyond the host. It is in the mode all the same.
#[test]
fn a_pod_s_own_addresses_are_as_before() {
    for without_ipv6 in ["eth0", "all"] {
        let pod = PodNetwork::new();
        let of_ipv4 = pod.ip("-4 -o address show scope global");
        pod.set(&format!("net/ipv6/conf/{without_ipv6}/disable_ipv6"), "1");
        let (output, mark) = pod.redirect(&bootstrap());
        assert_eq!(mark, "ebb \"Transparent\"", "{output:?}");
        assert_eq!(pod.ip("-6 -o address show scope global"), "");
        assert_eq!(pod.ip("-4 -o address show scope global"), of_ipv4);
        let app = pod.app("0.0.0.0:8080");
        let sidecar = pod.sidecar(&bootstrap());
        let (client, served) = connection(pod.addresses[0], 8080, &app);
        assert_eq!(peer(&served), client.local_addr().unwrap());
        let report = sidecar.report();
        assert_eq!((report.mode, report.steps), (Mode::Transparent, vec![]));
    }
}

/// A sidecar that was killed costs its open connections and no new one: those reach the app. The
/// next one finds them, counts them as bypassing, and its drain waits for them.
#[test]
fn a_killed_sidecar_costs_no_new_connection() {
    let (pod, mut sidecar) = protected();
    let app = pod.app("[::]:8080");
    let [four, six] = pod.addresses;
    let (mut lost, _served) = connection(four, 8080, &app);
    sidecar.kill();
    assert!(
        matches!(lost.read(&mut [0]), Ok(0) | Err(_)),
        "its relay is gone"
    );
    let mut past: Vec<_> = [four, six]
        .map(|address| connection(address, 8080, &app))
        .into();
    for (client, served) in &mut past {
        assert_eq!(peer(served), client.local_addr().unwrap());
        say(client, served, "question");
    }
    let sidecar = pod.sidecar(&bootstrap());
    let (mut relayed, mut relayed_app) = connection(four, 8080, &app);
    say(&mut relayed, &mut relayed_app, "question");
    say(&mut relayed_app, &mut relayed, "answer");
    let report = sidecar.until("all seen", |report| report.now.bypassing == 2);
    assert_eq!(numbers(&report), (3, 3));
    let hooks = sidecar.call_hooks();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    hooks.are_held("two clients wait");
    for (client, served) in &mut past {
        say(served, client, "answer");
    }
    let drain = hooks.released().drain.unwrap();
    assert_eq!((drain.outcome, drain.bypassing), (Outcome::Drained, 2));
}

/// From the moment at which the pod drains nothing new is accepted, by the app neither; what is
/// open goes on. A drain that heals accepts again.
#[test]
fn a_draining_pod_refuses() {
    let (pod, sidecar) = protected();
    let app = pod.app("[::]:8080");
    let [four, _] = pod.addresses;
    let (mut client, mut served) = connection(four, 8080, &app);
    say(&mut client, &mut served, "question");
    let hooks = sidecar.call_hooks();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    for address in pod.addresses {
        assert_eq!(connect(address, 8080), Err(ErrorKind::ConnectionRefused));
    }
    assert_eq!(sidecar.report().now.bypassing, 0);
    say(&mut served, &mut client, "answer");
    assert_eq!(hooks.released().drain.unwrap().outcome, Outcome::Drained);
    assert!(app.try_recv().is_err(), "the app got a connection");
}

/// An app that ends in the middle of a drain, as the kernel tells of it: by a FIN where it had read
/// all, else by a reset. Both requests are lost by its hand, and the drain says so.
#[test]
fn an_app_that_ends_breaks_the_drain() {
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (pod, sidecar) = protected();
    let app = pod.app("[::]:8080");
    let [four, six] = pod.addresses;
    let (mut told, mut has_read) = connection(four, 8080, &app);
    say(&mut told, &mut has_read, GET);
    let (mut reset, has_not) = connection(six, 8080, &app);
    reset.write_all(GET.as_bytes()).unwrap();
    has_not.peek(&mut [0]).unwrap();
    let hooks = sidecar.call_hooks();
    let report = sidecar.until("draining", |report| report.phase == Phase::Draining);
    assert_eq!(report.now.in_flight, [(Protocol::Http1, 2)].into());
    drop((has_read, has_not));
    assert_eq!(told.read(&mut [0]).unwrap(), 0);
    let lost = reset.read(&mut [0]).unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::ConnectionReset);
    let drain = hooks.released().drain.unwrap();
    assert_eq!(drain.broken, [(Protocol::Http1, 2)].into());
    assert_eq!(
        (drain.outcome, drain.finished, drain.cut_in_all()),
        (Outcome::Broken, 0, 0)
    );
    let metric = "ebb_broken_total{protocol=\"Http1\"}";
    assert_eq!(sidecar.metric(metric), 2);
}

/// Written is not delivered: after SIGTERM the process stays until a slow client has acknowledged
/// the last byte of an answer, at whichever port of the app it is connected.
#[test]
fn a_slow_client_gets_all_of_its_answer() {
    const BIG: usize = 64 << 10;
    let (pod, mut sidecar) = protected();
    for (address, port) in pod.addresses.into_iter().zip([8080, 8082]) {
        let app = pod.app(&format!("[::]:{port}"));
        let socket = Socket::new(
            Domain::for_address((address, port).into()),
            Type::STREAM,
            None,
        );
        let socket = socket.unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let to = SocketAddr::new(address, port).into();
        socket.connect_timeout(&to, PATIENCE).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut served = app.recv_timeout(PATIENCE).expect("the app accepts");
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n");
        let request = served.read(&mut [0; 1024]).unwrap();
        assert!(request > 0);
        served.write_all(head.as_bytes()).unwrap();
        served.write_all(&vec![b'x'; BIG]).unwrap();
        drop(served);
        sidecar.until("the answer to be with the kernel", |report| {
            report.now.in_flight.is_empty()
        });
        sidecar.signal(rustix::process::Signal::TERM);
        // The relay lingers for 2 s on a connection that it closes; the process must outlast that.
        let reads = Duration::from_millis(2500);
        assert!(
            !sidecar.ends_within(reads),
            "the client has not read its answer"
        );
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.iter().filter(|byte| **byte == b'x').count(), BIG);
        assert!(sidecar.ends_within(PATIENCE), "all is delivered");
        sidecar = pod.sidecar(&bootstrap());
    }
}

/// A client that uses its port again at once is served and passes the relay, whoever closed the
/// connection before: what is left of it neither refuses the client nor leads it past the relay.
#[test]
fn a_client_may_use_its_port_again_at_once() {
    let (pod, sidecar) = protected();
    let app = pod.app("[::]:8080");
    for (number, (address, outside)) in pod
        .addresses
        .into_iter()
        .zip(pod.outside_addresses)
        .enumerate()
    {
        let source = SocketAddr::new(outside, 41000);
        for round in 0..10 {
            let mut client = connect_from(source, (address, 8080).into()).unwrap();
            let mut served = app.recv_timeout(PATIENCE).expect("the app accepts");
            served.set_read_timeout(Some(PATIENCE)).unwrap();
            say(&mut client, &mut served, "question");
            assert_eq!(peer(&served).ip(), outside);
            let report = sidecar.report();
            assert_eq!((numbers(&report).0, report.now.bypassing), (1, 0));
            // The one that closes first is the one that remembers.
            if (round + number) % 2 == 0 {
                close(served, client);
            } else {
                // This side would remember, and refuse to connect from the port for a minute.
                let socket = SockRef::from(&client);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                close(client, served);
            }
            sidecar.until("it to be gone", |report| numbers(report).0 == 0);
        }
    }
}

fn close(first: TcpStream, mut second: TcpStream) {
    drop(first);
    let _ = second.read(&mut [0]);
}

/// 5,000 clients behind one address, as a gateway's are, that use their ports again at once: each
/// is answered each time, under its own address and port. The app closes first, so that the pod is
/// the side that remembers each of the connections before.
#[test]
fn thousands_of_clients_behind_one_address_use_their_ports_again_at_once() {
    const CLIENTS: u16 = 5_000;
    const ROUNDS: usize = 3;
    let (pod, sidecar) = protected();
    pod.listen_by("[::]:8080", |listener| {
        runtime().block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut served = JoinSet::new();
            loop {
                let (stream, client) = listener.accept().await.unwrap();
                served.spawn(tell_who_it_is(stream, client));
            }
        });
    });
    let address = SocketAddr::new(pod.addresses[0], 8080);
    let gateway = pod.outside_addresses[0];
    let errors = runtime().block_on(async {
        let clients = (20_000..20_000 + CLIENTS).map(|port| async move {
            let source = SocketAddr::new(gateway, port);
            for round in 0..ROUNDS {
                let asked = tokio::time::timeout(PATIENCE * 6, ask_from(source, address));
                let answer = asked.await.map_err(std::io::Error::from).flatten();
                if !matches!(&answer, Ok(answer) if *answer == source.to_string()) {
                    return Some(format!("{source} in round {round}: {answer:?}"));
                }
            }
            None
        });
        let errors: Vec<Option<String>> = clients.collect::<JoinSet<_>>().join_all().await;
        errors.into_iter().flatten().collect::<Vec<_>>()
    });
    assert_eq!(errors, Vec::<String>::new());
    let report = sidecar.until("all to be gone", |report| numbers(report).0 == 0);
    assert_eq!(report.now.bypassing, 0);
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// An app that waits for a line, tells its client's address, and closes first.
async fn tell_who_it_is(mut client: tokio::net::TcpStream, peer: SocketAddr) {
    // A client that has gone is missed by nobody: it says so itself.
    if client.read_u8().await.is_ok() {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let _ = client.write_all(peer.to_string().as_bytes()).await;
        let _ = client.shutdown().await;
        let _ = client.read_u8().await;
    }
}

/// A client that asks from this port, and reads until the app closes.
async fn ask_from(source: SocketAddr, to: SocketAddr) -> std::io::Result<String> {
    let mut client = loop {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(source)?;
        match socket.connect(to).await {
            // This side has sent its FIN and not yet heard that it arrived.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                tokio::task::yield_now().await;
            }
            connected => break connected?,
        }
    };
    client.write_u8(b'?').await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A client may have connections from one port to two of the pod's ports, and to two of its
/// addresses; the second of the latter shows another port of the client's own address.
#[test]
fn a_client_may_use_one_port_for_two_connections() {
    let (pod, _sidecar) = protected();
    let (app, other) = (pod.app("[::]:8080"), pod.app("[::]:8082"));
    let second = IpAddr::from([198, 18, 64, 66]);
    pod.ip(&format!("address add {second}/32 dev eth0"));
    pod.reach_from_outside(second);
    let source = SocketAddr::new(pod.outside_addresses[0], 41000);
    let mut ends = Vec::new();
    for (to, app) in [
        ((pod.addresses[0], 8080), &app),
        ((pod.addresses[0], 8082), &other),
        ((second, 8080), &app),
    ] {
        let client = connect_from(source, to.into()).unwrap();
        let served = app.recv_timeout(PATIENCE).expect("the app accepts");
        assert_eq!(peer(&served).ip(), source.ip());
        ends.push((client, served));
    }
    for (client, served) in &mut ends {
        say(client, served, "question");
        say(served, client, "answer");
    }
    assert_eq!(peer(&ends[1].1), source);
    assert_ne!(peer(&ends[2].1), source);
}

/// A sidecar that lacks the capability says so, and the app is served without it.
#[test]
fn without_the_capability_the_app_is_served() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar_by(&launch(&bootstrap()).without_capabilities());
    let report = sidecar.report();
    assert_eq!(report.mode, Mode::Observe);
    let [step] = &report.steps[..] else {
        panic!("{:?}", report.steps);
    };
    assert_eq!(
        (step.mode, step.why),
        (Mode::Transparent, Why::NoCapability)
    );
    for address in pod.addresses {
        let (client, served) = connection(address, 8080, &app);
        assert_eq!(peer(&served), client.local_addr().unwrap());
    }
}
