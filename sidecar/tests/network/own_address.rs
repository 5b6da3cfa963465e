//! Who appears to the app under the pod's own address, which servers trust: clients of an app that
//! takes no connection to another, and nobody else.

use crate::client::{connection, say};
use crate::sidecar::PATIENCE;
use crate::transparent::{peer, protected};
use ebb_api::capture::{Mode, Why};
use ebb_netns::eventually;
use std::net::{SocketAddr, TcpStream};

/// An app that listens on the pod's own address alone is served, and sees that address.
#[test]
fn an_app_at_the_pod_s_own_address_is_served() {
    let (pod, sidecar) = protected();
    for address in pod.addresses {
        let app = pod.app(&SocketAddr::new(address, 8080).to_string());
        for _ in 0..2 {
            let (mut client, mut served) = connection(address, 8080, &app);
            assert_eq!(peer(&served).ip(), address);
            say(&mut client, &mut served, "question");
        }
    }
    let report = sidecar.report();
    assert_eq!(report.now.bypassing, 0);
    let [step] = &report.steps[..] else {
        panic!("one thing is to be told: {:?}", report.steps)
    };
    assert_eq!((step.mode, step.why), (Mode::Transparent, Why::OwnAddress));
    assert!(step.detail.contains("8080"), "{}", step.detail);
}

/// An app that comes to listen on all addresses sees its clients' again, and that is all told.
#[test]
fn an_app_that_leaves_the_pod_s_own_address_sees_its_clients() {
    let (pod, sidecar) = protected();
    let address = pod.addresses[0];
    let own = pod.listener(&SocketAddr::new(address, 8080).to_string());
    let client = TcpStream::connect((address, 8080)).unwrap();
    let (served, _) = own.accept().unwrap();
    assert_eq!(peer(&served).ip(), address);
    sidecar.until("it to be told", |report| report.steps.len() == 1);
    drop((own, client, served));
    let app = pod.app("[::]:8080");
    let (client, served) = connection(address, 8080, &app);
    assert_eq!(peer(&served), client.local_addr().unwrap());
    assert_eq!(sidecar.report().steps, []);
}

/// While the app's queue is full its clients wait, as they would without a relay: servers trust the
/// pod's own address, so a client must not be able to appear under it by filling the queue. The
/// relay doubts its way to the app after 3 s.
#[test]
fn a_client_of_an_app_whose_queue_is_full_is_still_seen_as_itself() {
    const QUEUE: usize = 2;
    let (pod, sidecar) = protected();
    let address = pod.addresses[0];
    let app = pod.listener("[::]:8080");
    rustix::net::listen(&app, i32::try_from(QUEUE).unwrap() - 1).unwrap();
    // The queue takes one more than it is long.
    let clients: Vec<_> = (0..2 * QUEUE)
        .map(|_| TcpStream::connect((address, 8080)).unwrap())
        .collect();
    let waiting = || sidecar.dialing();
    let all_wait = || Ok(Some(waiting()).filter(|all| all.len() == QUEUE));
    let first = eventually("the queue to be full", PATIENCE, all_wait).unwrap();
    // Its patience has ended when it tries again.
    eventually("the relay to try again", PATIENCE, || {
        let now = waiting();
        Ok((now.len() == QUEUE && now.is_disjoint(&first)).then_some(()))
    })
    .unwrap();
    let accepted = || peer(&app.accept().unwrap().0);
    let mut seen: Vec<_> = clients.iter().map(|_| accepted()).collect();
    let mut own: Vec<_> = clients.iter().map(|it| it.local_addr().unwrap()).collect();
    seen.sort();
    own.sort();
    assert_eq!(seen, own);
}
