//! A pod whose connections do not pass the relay: what the kernel tells of their sockets.

use crate::client::{connection, numbers, say};
use crate::pod::PodNetwork;
use crate::sidecar::PATIENCE;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{self, Mode};
use ebb_api::phase::{Outcome, Phase};
use ebb_api::report::Protocol;
use ebb_netns::bootstrap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A drain of at most `timeout_seconds`, in which a silent app is waited for one second.
fn bootstrap(timeout_seconds: u32) -> Bootstrap {
    Bootstrap {
        exclude_ports: vec![8081],
        ..bootstrap::of(bootstrap::short(timeout_seconds))
    }
}

/// IPv4 and IPv6: a client that waits for its answer holds the hooks, and its answer releases them.
/// An idle connection does not, nor do those that are not the app's clients' own: to an excluded
/// port, between the pod's processes, and one that the app has opened.
#[test]
fn a_client_that_waits_holds_the_hooks() {
    let pod = PodNetwork::new();
    let app = pod.app("[::]:8080");
    let excluded = pod.app("[::]:8081");
    let elsewhere = TcpListener::bind((pod.outside_addresses[0], 0)).unwrap();
    let sidecar = pod.sidecar(&bootstrap(60));
    let report = sidecar.report();
    assert_eq!((report.mode, numbers(&report)), (Mode::Observe, (0, 0)));
    let reason = capture::sentence(&report.steps).unwrap();
    assert!(reason.contains("left no result"), "{reason}");

    let mut clients: Vec<_> = pod
        .addresses
        .iter()
        .map(|address| connection(*address, 8080, &app))
        .collect();
    let (mut idle, mut idle_app) = connection(pod.addresses[0], 8080, &app);
    let mut other = connection(pod.addresses[0], 8081, &excluded);
    say(&mut other.0, &mut other.1, "excluded");
    let inside = pod.open_inside(SocketAddr::new(pod.addresses[0], 8080), "x");
    let _inside_app = app.recv_timeout(PATIENCE).expect("the app accepts");
    let outgoing = pod.open_inside(elsewhere.local_addr().unwrap(), "x");
    let _peer = elsewhere.accept().unwrap();
    say(&mut idle, &mut idle_app, "question");
    say(&mut idle_app, &mut idle, "answer");
    for (client, served) in &mut clients {
        say(client, served, "question");
    }
    let report = sidecar.until("one to be idle", |report| numbers(report) == (3, 2));
    assert!(report.now.oldest_ms.unwrap() < 20_000, "{report:?}");
    assert_eq!(sidecar.metric("ebb_connections{protocol=\"Opaque\"}"), 3);

    let hooks = sidecar.call_hooks();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    let (client, served) = &mut clients[0];
    say(served, client, "answer");
    sidecar.until("one in flight", |report| numbers(report) == (3, 1));
    hooks.are_held("the other client waits");
    let (client, served) = &mut clients[1];
    say(served, client, "answer");
    let last = hooks.released();
    let drain = last.drain.unwrap();
    assert_eq!(
        (last.mode, drain.outcome),
        (Mode::Observe, Outcome::Drained)
    );
    assert_eq!((drain.finished, drain.cut_in_all()), (2, 0), "{drain:?}");
    assert_eq!((drain.late, drain.bypassing), (0, 0), "{drain:?}");
    drop((inside, outgoing));
}

/// Heartbeats, each before the app was silent for long enough, hold no hook: they are told from
/// work by what the kernel counts.
#[test]
fn heartbeats_do_not_hold_the_hooks() {
    let pod = PodNetwork::new();
    let app = pod.app("0.0.0.0:8080");
    let mut bootstrap = bootstrap(60);
    bootstrap.settings.connections.idle_seconds = 5;
    let sidecar = pod.sidecar(&bootstrap);
    let (mut client, mut served) = connection(pod.addresses[0], 8080, &app);
    say(&mut client, &mut served, "question");
    say(&mut served, &mut client, "answer");
    let (stop, stopped) = mpsc::channel::<()>();
    let beating = thread::spawn(move || {
        // Longer than the pause by which exchanges are told apart.
        let pause = Duration::from_millis(1200);
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            say(&mut client, &mut served, "ping");
            say(&mut served, &mut client, "pong");
        }
    });
    let drain = sidecar.call_hooks().released().drain.unwrap();
    drop(stop);
    beating.join().unwrap();
    assert_eq!(drain.outcome, Outcome::Drained, "{drain:?}");
    assert_eq!((drain.cut_in_all(), drain.unseen), (0, 0), "{drain:?}");
}

/// What is in flight at the timeout is counted; nothing is done to it.
#[test]
fn the_timeout_ends_the_wait() {
    let pod = PodNetwork::new();
    let app = pod.app("0.0.0.0:8080");
    let sidecar = pod.sidecar(&bootstrap(2));
    let (mut client, mut served) = connection(pod.addresses[0], 8080, &app);
    say(&mut client, &mut served, "question");
    let drain = sidecar.call_hooks().released().drain.unwrap();
    assert_eq!(drain.outcome, Outcome::TimedOut);
    assert_eq!(drain.cut.get(&Protocol::Opaque), Some(&1));
    say(&mut served, &mut client, "answer");
    sidecar.until("what was not cut after all", |report| {
        report
            .last
            .as_ref()
            .is_some_and(|drain| drain.cut_in_all() == 0)
    });
}

/// An app that ends, or a client: the connection is gone at the next look, and who has ended it
/// nobody saw. So it has neither finished nor was it lost, and no number says that there was none.
#[test]
fn how_a_connection_ended_nobody_saw() {
    let pod = PodNetwork::new();
    let app = pod.app("0.0.0.0:8080");
    let sidecar = pod.sidecar(&bootstrap(60));
    let (mut client, mut served) = connection(pod.addresses[0], 8080, &app);
    say(&mut client, &mut served, "question");
    sidecar.until("it in flight", |report| numbers(report) == (1, 1));
    let hooks = sidecar.call_hooks();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    drop(served);
    let drain = hooks.released().drain.unwrap();
    assert_eq!((drain.outcome, drain.unseen), (Outcome::Drained, 1));
    assert_eq!((drain.finished, drain.broken_in_all()), (0, 0));
    assert_eq!(sidecar.metric("ebb_unseen_total"), 1);
    for missing in ["ebb_broken_total", "ebb_given_up_total", "ebb_cut_total"] {
        assert!(!sidecar.metrics().contains(missing), "{missing}");
    }
}

/// Connections that the sidecar has no part in do not keep its process: kubelet may restart it
/// alone.
#[test]
fn the_sidecar_ends_before_the_connections_that_it_observes() {
    let pod = PodNetwork::new();
    let app = pod.app("[::]:8080");
    let mut sidecar = pod.sidecar(&bootstrap(60));
    let (mut client, mut served) = connection(pod.addresses[0], 8080, &app);
    say(&mut client, &mut served, "question");
    sidecar.until("it in flight", |report| numbers(report) == (1, 1));
    sidecar.end();
    say(&mut served, &mut client, "answer");
}

/// An answer that its client does not read is in flight for as long, whoever spoke last; and the
/// client's end is the connection's, even if the app does not notice.
#[test]
fn an_answer_that_is_not_taken_is_waited_for() {
    let pod = PodNetwork::new();
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap(60));
    let (mut client, mut served) = connection(pod.addresses[1], 8080, &app);
    say(&mut client, &mut served, "question");
    let answering = thread::spawn(move || {
        served.write_all(&vec![b'x'; 16 << 20]).unwrap();
        served
    });
    sidecar.until("the answer in flight", |report| {
        report.now.oldest_ms > Some(2000) && numbers(report) == (1, 1)
    });
    let mut answer = vec![0; 16 << 20];
    client.read_exact(&mut answer).unwrap();
    let served = answering.join().unwrap();
    sidecar.until("it to be idle", |report| numbers(report) == (1, 0));
    drop(client);
    sidecar.until("the app to be told", |report| numbers(report) == (1, 0));
    drop(served);
    sidecar.until("its end", |report| numbers(report) == (0, 0));
}
