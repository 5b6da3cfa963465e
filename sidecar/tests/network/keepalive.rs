//! Connections on which nothing passes for longer than connection tracking remembers them: a client
//! that has said all and waits for its answer, and one that keeps its connection for later.
//!
//! Between client and relay a connection that was forgotten is lost: what the relay says then
//! leaves from its own port. So the relay asks after its clients in time. Between relay and app
//! nothing is translated, and what is forgotten is found again.

use crate::client::{connection, numbers, say};
use crate::pod::PodNetwork;
use crate::sidecar::PATIENCE;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Wanted};
use ebb_netns::{bootstrap, eventually};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What connection tracking remembers here, in seconds. By itself it is 60 of a connection of which
/// one half is closed, and five days of others; the relay asks after 25, and the kernel's timers of
/// that length may be some 2 s late (its wheel turns in such steps).
const REMEMBERED: u64 = 30;

/// How the app ends a connection.
#[derive(Clone, Copy, Debug)]
enum AppEnds {
    Answers,
    AnswersAndCloses,
    Closes,
    Resets,
}

/// Whether connection tracking in the pod knows of a connection from here.
fn remembers(pod: &PodNetwork, from: SocketAddr) -> bool {
    let file = "/proc/self/net/nf_conntrack";
    let all = pod.run("cat", &[file]);
    let port = format!("sport={} ", from.port());
    all.lines().any(|line| line.contains(&port))
}

/// IPv4 and IPv6, half-closed and idle: whatever the app does in the end reaches the client.
#[test]
fn nothing_is_lost_in_a_long_silence() {
    let pod = PodNetwork::new();
    // In no other mode are connections tracked.
    let bootstrap = Bootstrap {
        capture: Wanted::only(Mode::Redirect),
        ..bootstrap::of(bootstrap::short(60))
    };
    pod.redirect(&bootstrap);
    for state in ["close_wait", "fin_wait", "established"] {
        let setting = format!("net/netfilter/nf_conntrack_tcp_timeout_{state}");
        pod.set(&setting, &REMEMBERED.to_string());
    }
    let app = pod.app("[::]:8080");
    let _sidecar = pod.sidecar(&bootstrap);
    let mut silent = Vec::new();
    for address in pod.addresses {
        for half_closed in [true, false] {
            for ends in [
                AppEnds::Answers,
                AppEnds::AnswersAndCloses,
                AppEnds::Closes,
                AppEnds::Resets,
            ] {
                let (mut client, mut served) = connection(address, 8080, &app);
                say(&mut client, &mut served, "\x16question");
                if half_closed {
                    client.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(served.read(&mut [0]).unwrap(), 0);
                }
                silent.push((client, served, ends));
            }
        }
    }
    let patience = Duration::from_secs(REMEMBERED) + PATIENCE;
    let forgotten = eventually("the silence to be noticed", patience, || {
        let mut apps = silent.iter().map(|(_, served, _)| served);
        let known = apps.any(|served| remembers(&pod, served.peer_addr().unwrap()));
        Ok((!known).then_some(()))
    });
    forgotten.unwrap();
    for (client, served, ends) in silent {
        let from = client.local_addr().unwrap();
        assert!(remembers(&pod, from), "{from}: {ends:?}");
        end(client, served, ends);
    }
}

/// An idle connection outlives a network that is away for longer than a minute's worth of
/// unanswered questions would have it, as it does without the relay.
#[test]
fn an_idle_connection_outlives_an_outage() {
    const OUTAGE: Duration = Duration::from_secs(45);
    let pod = PodNetwork::new();
    let bootstrap = bootstrap::of(bootstrap::short(60));
    pod.redirect(&bootstrap);
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap);
    let outside = pod.second_outside();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(outside, 0).into()).unwrap();
    let to = SocketAddr::new(pod.addresses[0], 8080);
    socket.connect(&to.into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut served = app.recv_timeout(PATIENCE).expect("the app accepts");
    say(&mut client, &mut served, "question");
    say(&mut served, &mut client, "answer");
    pod.remove_outside(outside);
    let began = Instant::now();
    eventually("the end of the outage", OUTAGE + PATIENCE, || {
        let open = numbers(&sidecar.report()).0;
        assert_eq!(open, 1, "closed after {:?}", began.elapsed());
        Ok((began.elapsed() > OUTAGE).then_some(()))
    })
    .unwrap();
    pod.second_outside();
    say(&mut client, &mut served, "question");
    say(&mut served, &mut client, "answer");
}

fn end(mut client: TcpStream, mut served: TcpStream, ends: AppEnds) {
    let mut heard = String::new();
    match ends {
        AppEnds::Answers => return say(&mut served, &mut client, "answer"),
        AppEnds::AnswersAndCloses => served.write_all(b"answer").unwrap(),
        AppEnds::Closes => {}
        AppEnds::Resets => {
            let at_once = Some(Duration::ZERO);
            SockRef::from(&served).set_linger(at_once).unwrap();
        }
    }
    drop(served);
    let end = client
        .read_to_string(&mut heard)
        .map_err(|error| error.kind());
    let expected = match ends {
        AppEnds::Resets => Err(ErrorKind::ConnectionReset),
        AppEnds::AnswersAndCloses => Ok("answer".len()),
        AppEnds::Answers | AppEnds::Closes => Ok(0),
    };
    assert_eq!(end, expected, "{ends:?}");
}
