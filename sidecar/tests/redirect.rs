//! The redirect step, for real: the program itself in a network namespace of its own, and connects
//! from outside of it. Only a kernel can tell whether it takes the rules and what they do.
//!
//! It needs root and the program `ip`; without either it fails and says so, for a test that is
//! skipped unseen proves nothing.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const BIRTH: &str = r#"{"settings":{"enabled":false,"timeoutSeconds":60,
    "deregistration":{"minSeconds":0,"quietSeconds":2,"maxSeconds":30}},
    "graceSeconds":30,"originalGraceSeconds":30,"token":"t","key":"k","publicKey":"",
    "containers":[],"excludePorts":[8081]}"#;

/// A pod's network: a namespace with one interface, whose other end is in this one.
struct PodNetwork {
    name: String,
    addresses: [IpAddr; 2],
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

impl PodNetwork {
    fn new() -> PodNetwork {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes a network namespace: run it as root"
        );
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("ebb-test-{process}-{number}");
        let host = format!("ebb{}n{number}", process % 1_000_000);
        // 198.18.0.0/15 (RFC 2544) and fd00::/8 (RFC 4193) are nobody's; one /30 for each test.
        let low = (process % 60) * 4;
        let prefix4 = format!("198.18.{}.", 200 + number);
        let prefix6 = format!("fd{:02x}:{:x}::", 0xe0 + number, process % 0xffff);
        let (outside4, inside4) = (
            format!("{prefix4}{}", low + 1),
            format!("{prefix4}{}", low + 2),
        );
        let (outside6, inside6) = (format!("{prefix6}1"), format!("{prefix6}2"));
        ip(&format!("netns add {name}"));
        let network = PodNetwork {
            addresses: [inside4.parse().unwrap(), inside6.parse().unwrap()],
            name,
        };
        let name = &network.name;
        ip(&format!(
            "link add {host} type veth peer name eth0 netns {name}"
        ));
        ip(&format!("addr add {outside4}/30 dev {host}"));
        ip(&format!("addr add {outside6}/126 dev {host} nodad"));
        ip(&format!("link set {host} up"));
        ip(&format!("-n {name} addr add {inside4}/30 dev eth0"));
        ip(&format!("-n {name} addr add {inside6}/126 dev eth0 nodad"));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("-n {name} link set lo up"));
        network
    }

    /// Runs the step, and returns the mark that it left.
    fn redirect(&self, birth: &str, wrapper: &[&str]) -> (Output, String) {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .args(wrapper)
            .args([env!("CARGO_BIN_EXE_ebb-sidecar"), "redirect"])
            .env("EBB_BIRTH", birth)
            .env("EBB_POD_UID", "uid")
            .output()
            .expect("the program ip is there");
        let lo = ip(&format!("-n {} link show lo", self.name));
        let mark = lo
            .lines()
            .find_map(|line| line.trim().strip_prefix("alias "));
        (output, mark.unwrap_or_default().to_owned())
    }

    /// Listens inside and answers every connection with who it is and, where the kernel tracks
    /// connections (which it does once there are rules), where this one was meant to go.
    fn listen(&self, address: &str, who: &'static str) {
        let namespace = std::fs::File::open(format!("/run/netns/{}", self.name)).unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let (ready, listening) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let net = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(net)).unwrap();
            let listener = TcpListener::bind(address).unwrap();
            ready.send(()).unwrap();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let socket = socket2::SockRef::from(&stream);
                let original = socket
                    .original_dst_v4()
                    .or_else(|_| socket.original_dst_v6());
                let _ = match original.ok().and_then(|address| address.as_socket()) {
                    Some(meant) => write!(stream, "{who} for {meant}"),
                    None => write!(stream, "{who}"),
                };
            }
        });
        listening
            .recv_timeout(Duration::from_secs(10))
            .expect("it listens");
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // The other end of the interface goes with it.
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .expect("the program ip is there");
    assert!(output.status.success(), "ip {arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the connection's other end says, or why there is none.
fn connect(address: IpAddr, port: u16) -> Result<String, std::io::ErrorKind> {
    let timeout = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&(address, port).into(), timeout)
        .map_err(|error| error.kind())?;
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .map_err(|error| error.kind())?;
    Ok(text)
}

/// IPv4 and IPv6: ports that the app listens on reach the relay, which learns where they were
/// meant to go; ports that nobody listens on stay refused; excluded ports and our own are left
/// alone; what comes from inside the pod is left alone; a second run changes nothing.
#[test]
fn inbound_connections_reach_the_relay() {
    let pod = PodNetwork::new();
    for run in ["first", "second"] {
        let (output, mark) = pod.redirect(BIRTH, &[]);
        assert!(output.status.success());
        assert_eq!(
            mark, "ebb redirect socket-wildcard",
            "{run} run: {output:?}"
        );
    }
    pod.listen("[::]:17440", "relay");
    pod.listen("[::]:17441", "admin");
    pod.listen("[::]:8080", "app");
    pod.listen("[::]:8081", "excluded");
    pod.listen("0.0.0.0:8082", "app");
    for address in pod.addresses {
        for (port, who) in [(8080, "relay"), (8081, "excluded"), (17441, "admin")] {
            let expected = format!("{who} for {}", SocketAddr::new(address, port));
            assert_eq!(connect(address, port), Ok(expected));
        }
        assert_eq!(
            connect(address, 8083),
            Err(std::io::ErrorKind::ConnectionRefused),
            "{address}: nobody listens there"
        );
        let inside = SocketAddr::new(address, 8080);
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}; cat <&3",
            inside.ip(),
            inside.port()
        );
        let output = Command::new("ip")
            .args(["netns", "exec", &pod.name, "bash", "-c", &script])
            .output()
            .unwrap();
        let expected = format!("app for {inside}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    let [four, six] = pod.addresses;
    let meant = SocketAddr::new(four, 8082);
    assert_eq!(connect(four, 8082), Ok(format!("relay for {meant}")));
    assert_eq!(
        connect(six, 8082),
        Err(std::io::ErrorKind::ConnectionRefused),
        "that app listens on IPv4 alone"
    );
}

/// Without the privilege the step ends well, and the pod serves without it.
#[test]
fn without_the_privilege_the_pod_serves_without_redirect() {
    let pod = PodNetwork::new();
    let (output, mark) = pod.redirect(BIRTH, &["setpriv", "--bounding-set", "-net_admin"]);
    assert!(output.status.success(), "{output:?}");
    // Nor may it leave a mark then, so the sidecar finds none and says so.
    assert_eq!(mark, "");
    pod.listen("[::]:8080", "app");
    for address in pod.addresses {
        assert_eq!(connect(address, 8080), Ok("app".to_owned()));
    }
}

/// A damaged birth leaves everything alone, and the mark says why.
#[test]
fn a_damaged_birth_redirects_nothing() {
    let pod = PodNetwork::new();
    let (output, mark) = pod.redirect("{", &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        mark.starts_with("ebb redirect failed: the variable EBB_BIRTH"),
        "{mark}"
    );
    pod.listen("[::]:8080", "app");
    assert_eq!(connect(pod.addresses[0], 8080), Ok("app".to_owned()));
}

/// The whole way: client, redirect, the sidecar's own process, app; IPv4 and IPv6.
#[test]
fn the_sidecar_serves_behind_the_redirect() {
    let pod = PodNetwork::new();
    pod.redirect(BIRTH, &[]);
    pod.listen("[::]:8080", "app");
    let mut sidecar = Command::new("ip")
        .args([
            "netns",
            "exec",
            &pod.name,
            env!("CARGO_BIN_EXE_ebb-sidecar"),
        ])
        .env("EBB_BIRTH", BIRTH)
        .env("EBB_POD_UID", "uid")
        .spawn()
        .unwrap();
    let [four, _] = pod.addresses;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((four, 17441)).is_err() {
        assert!(
            std::time::Instant::now() < deadline,
            "the sidecar does not start"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let answers = pod.addresses.map(|address| connect(address, 8080));
    sidecar.kill().unwrap();
    sidecar.wait().unwrap();
    for (address, answer) in pod.addresses.into_iter().zip(answers) {
        assert_eq!(
            answer,
            Ok(format!("app for {}", SocketAddr::new(address, 8080)))
        );
    }
}
