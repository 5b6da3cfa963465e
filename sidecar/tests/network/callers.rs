//! Who calls the hooks: kubelet, from where its probes come, or somebody who knows the pod's token.

use crate::pod::PodNetwork;
use crate::sidecar::{PATIENCE, Sidecar};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::desired::{Desired, Endpoints, Leave, Revision, Services};
use ebb_api::names::{
    ADMIN_PORT, KEY_HEADER, SIDECAR_CONTAINER, SIGNATURE_HEADER, TOKEN_HEADER, hook_path,
};
use ebb_api::phase::{Phase, Trigger};
use ebb_netns::bootstrap::{self, APP, TOKEN};
use ebb_netns::eventually;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

const KEY: &str = "k1";

/// A sidecar that kubelet has probed, the controller, and somebody else.
struct Cast {
    pod: PodNetwork,
    sidecar: Sidecar,
    key: Ed25519KeyPair,
    sequence: u64,
    stranger: IpAddr,
}

impl Cast {
    fn new() -> Cast {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let bootstrap = Bootstrap {
            key: KEY.to_owned(),
            public_key: BASE64_STANDARD.encode(key.public_key()),
            ..bootstrap::of(bootstrap::short(4))
        };
        let pod = PodNetwork::new();
        let sidecar = pod.sidecar(&bootstrap);
        let cast = Cast {
            stranger: pod.second_outside(),
            pod,
            sidecar,
            key,
            sequence: 0,
        };
        let probe = cast.ask(
            cast.pod.outside_addresses[0],
            "GET /readyz HTTP/1.1\r\nhost: x\r\nuser-agent: kube-probe/1.35\r\nconnection: close\r\n\r\n",
        );
        assert!(answer(probe).starts_with("HTTP/1.1 200 "));
        cast
    }

    /// Sends a request to the admin port from this address.
    fn ask(&self, from: IpAddr, request: &str) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        let to = SocketAddr::new(self.pod.addresses[0], ADMIN_PORT);
        socket.connect(&to.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// The stranger calls both hooks, with the token.
    fn call(&self) -> [TcpStream; 2] {
        [APP, SIDECAR_CONTAINER].map(|container| {
            let path = hook_path(container);
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\n{TOKEN_HEADER}: {TOKEN}\r\nconnection: close\r\n\r\n"
            );
            self.ask(self.stranger, &request)
        })
    }

    /// The controller says whether the pod leaves.
    fn say(&mut self, leave: Option<Leave>) {
        self.sequence += 1;
        let report = self.sidecar.report();
        let desired = Desired {
            pod: report.pod,
            boot: report.boot,
            revision: Revision::new(0, self.sequence),
            settings: bootstrap::short(4),
            leave,
            endpoints: Endpoints::Present,
            services: Services::default(),
        };
        let body = serde_json::to_string(&desired).unwrap();
        let signature = BASE64_STANDARD.encode(self.key.sign(body.as_bytes()));
        let request = format!(
            "PUT /v1/desired HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{KEY_HEADER}: {KEY}\r\n\
             {SIGNATURE_HEADER}: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let said = answer(self.ask(self.pod.outside_addresses[0], &request));
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_answered(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let seen = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(seen, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// While the controller is there, a call of somebody else changes nothing: it waits until the
/// controller says that the pod stays, and is refused and counted. Kubelet's own is held as ever.
#[test]
fn a_stranger_s_call_changes_nothing() {
    let mut cast = Cast::new();
    cast.say(None);
    let calls = cast.call();
    let both_answered = || {
        cast.say(None);
        let report = cast.sidecar.report();
        assert_eq!((report.phase, report.leaving), (Phase::Serving, None));
        assert!(cast.sidecar.is_ready());
        Ok(calls.iter().all(is_answered).then_some(()))
    };
    eventually("both calls to be refused", PATIENCE, both_answered).unwrap();
    for call in calls {
        let said = answer(call);
        assert!(said.starts_with("HTTP/1.1 403 "), "{said}");
    }
    assert_eq!(cast.sidecar.report().refused_hooks, 2);
    let counted = cast
        .sidecar
        .metric("ebb_hook_calls_total{result=\"refused\"}");
    assert_eq!(counted, 2);
    let hooks = cast.sidecar.call_hooks();
    cast.sidecar
        .until("kubelet to be believed", |report| report.leaving.is_some());
    hooks.released();
}

/// Where the controller says that the pod leaves, a call is held, wherever it comes from: a network
/// may hide kubelet's address.
#[test]
fn a_stranger_is_believed_when_the_pod_leaves() {
    let mut cast = Cast::new();
    cast.say(None);
    let calls = cast.call();
    cast.say(Some(Leave {
        trigger: Trigger::Deleted,
        grace_seconds: None,
    }));
    for call in calls {
        let said = answer(call);
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
    assert_eq!(cast.sidecar.report().refused_hooks, 0);
}

/// Without a controller there are only the hooks to go by, so every call counts.
#[test]
fn without_a_controller_every_call_counts() {
    let cast = Cast::new();
    let calls = cast.call();
    cast.sidecar
        .until("the pod to leave", |report| report.leaving.is_some());
    for call in calls {
        let said = answer(call);
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
}
