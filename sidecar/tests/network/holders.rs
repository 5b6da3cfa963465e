//! Who holds a drain, as a leaving pod's status names them, in each way that connections can get to
//! the app.

use crate::client::{connection, say};
use crate::pod::PodNetwork;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Wanted};
use ebb_api::phase::{Outcome, Phase};
use ebb_api::report::{Holder, Protocol, WaitsFor};
use ebb_netns::bootstrap;
use std::io::Write;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: pod\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
const REST: &str = "llo";

/// What is said of a holder but its age.
type Said = (Protocol, u64, u64, WaitsFor);

/// Over IPv4 a client waits for its answer, over IPv6 one has half of it, and a third is at rest:
/// those that hold the drain are named by their own addresses, the older one first, with what they
/// wait for. When they have their answers nobody holds it, and the last words name nobody.
fn slow_requests_are_named(mode: Mode, expected: &[Said]) {
    let bootstrap = Bootstrap {
        capture: Wanted::only(mode),
        ..bootstrap::of(bootstrap::short(60))
    };
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap);
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap);
    assert_eq!(sidecar.report().mode, mode);
    let [four, six] = pod.addresses;
    let (mut idle, mut idle_app) = connection(four, 8080, &app);
    say(&mut idle, &mut idle_app, REQUEST);
    say(&mut idle_app, &mut idle, HALF);
    say(&mut idle_app, &mut idle, REST);
    let (mut first, mut first_app) = connection(four, 8080, &app);
    say(&mut first, &mut first_app, REQUEST);
    // Ages are told in milliseconds, and their order is to be certain.
    sidecar.until("it to be older", |report| report.now.oldest_ms > Some(20));
    let (mut second, mut second_app) = connection(six, 8080, &app);
    say(&mut second, &mut second_app, REQUEST);
    say(&mut second_app, &mut second, HALF);

    let hooks = sidecar.call_hooks();
    let report = sidecar.until("draining", |report| {
        report.phase == Phase::Draining && report.now.holders.len() == expected.len()
    });
    let named = report.now.holders.iter();
    let named = named.map(|holder| {
        let Holder {
            client,
            port,
            protocol,
            in_flight,
            received,
            sent,
            waits_for,
            age_ms: _,
        } = *holder;
        assert_eq!((port, in_flight), (8080, 1));
        (client, (protocol, received, sent, waits_for))
    });
    let clients = [&first, &second].map(|client| client.local_addr().unwrap());
    let expected: Vec<_> = clients.into_iter().zip(expected.iter().copied()).collect();
    assert_eq!(named.collect::<Vec<_>>(), expected);
    let ages: Vec<_> = report.now.holders.iter().map(|it| it.age_ms).collect();
    assert_eq!(report.now.oldest_ms, Some(ages[0]));
    assert!(
        ages.is_sorted_by(|older, younger| older > younger),
        "{ages:?}"
    );

    say(&mut second_app, &mut second, REST);
    // A goodbye may stand in this one's head.
    first_app.write_all(HALF.as_bytes()).unwrap();
    first_app.write_all(REST.as_bytes()).unwrap();
    let drain = hooks.released().drain.unwrap();
    assert_eq!((drain.outcome, drain.holders), (Outcome::Drained, vec![]));
    assert_eq!(drain.parts.in_all_ms(), drain.took_ms);
    drop((idle, idle_app));
}

const ASKED: u64 = REQUEST.len() as u64;
const SAID: u64 = HALF.len() as u64;

/// What a relay knows of both.
const RELAYED: [Said; 2] = [
    (Protocol::Http1, ASKED, 0, WaitsFor::App),
    (Protocol::Http1, ASKED, SAID, WaitsFor::App),
];

/// Where the kernel hands connections to the relay.
#[test]
fn a_slow_request_is_named_where_connections_are_handed_over() {
    slow_requests_are_named(Mode::Transparent, &RELAYED);
}

/// Where they are redirected to it: the client's address is its own all the same.
#[test]
fn a_slow_request_is_named_where_connections_are_redirected() {
    slow_requests_are_named(Mode::Redirect, &RELAYED);
}

/// Where they pass it by, and only the kernel tells of them: what an answer is nobody knows, so a
/// client that has a part of it holds nothing when the app has been silent for a second.
#[test]
fn a_slow_request_is_named_where_connections_are_observed() {
    let unanswered = (Protocol::Opaque, ASKED, 0, WaitsFor::App);
    slow_requests_are_named(Mode::Observe, &[unanswered]);
}
