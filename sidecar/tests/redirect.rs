//! The redirect step, for real: the program itself in a network namespace of its own, and connects
//! from outside of it. Only a kernel can tell whether it takes the rules and what they do.
//!
//! It needs root and the program `ip`; without either it fails and says so, for a test that is
//! skipped unseen proves nothing.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BIRTH: &str = r#"{"settings":{"enabled":false,"timeoutSeconds":60,
    "deregistration":{"minSeconds":0,"quietSeconds":2,"maxSeconds":30}},
    "graceSeconds":30,"originalGraceSeconds":30,"token":"t","key":"k","publicKey":"",
    "containers":[],"excludePorts":[8081]}"#;

/// A pod's network: a namespace with one interface, whose other end is in this one.
struct PodNetwork {
    name: String,
    /// The name of the other end.
    host: String,
    /// IPv4 and IPv6, inside.
    addresses: [IpAddr; 2],
    /// The same of the other end.
    outside: [IpAddr; 2],
}

/// A sidecar that ends with its test.
struct Sidecar(Child);

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
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
            outside: [outside4.parse().unwrap(), outside6.parse().unwrap()],
            name,
            host,
        };
        let (name, host) = (&network.name, &network.host);
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

    /// The mark of a redirect that worked in all.
    fn mark(&self) -> String {
        let [four, six] = self.addresses;
        format!("ebb redirect socket-wildcard lo {four} {six}")
    }

    /// The routes of one of the pod's addresses in the table `local`.
    fn local_routes(&self, address: IpAddr) -> Vec<String> {
        let family = family(address);
        let routes = ip(&format!(
            "-n {} {family} route show table local {address}",
            self.name
        ));
        routes.lines().map(|line| line.trim().to_owned()).collect()
    }

    /// Starts the sidecar's own process, and waits until it serves.
    fn sidecar(&self) -> Sidecar {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name])
            .arg(env!("CARGO_BIN_EXE_ebb-sidecar"))
            .env("EBB_BIRTH", BIRTH)
            .env("EBB_POD_UID", "uid");
        let sidecar = Sidecar(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((self.addresses[0], 17441)).is_err() {
            assert!(Instant::now() < deadline, "the sidecar does not start");
            thread::sleep(Duration::from_millis(10));
        }
        sidecar
    }

    /// A counter of the sidecar.
    fn counter(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect((self.addresses[0], 17441)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .trim()
            .parse()
            .unwrap()
    }

    /// Forgets which neighbor has which hardware address, on both ends of the wire.
    fn forget_neighbors(&self) {
        ip(&format!("neigh flush dev {}", self.host));
        ip(&format!("-n {} neigh flush dev eth0", self.name));
    }

    /// What the other end of a connection from inside of the pod says.
    fn connect_from_inside(&self, to: SocketAddr) -> String {
        let script = format!("exec 3<>/dev/tcp/{}/{}; cat <&3", to.ip(), to.port());
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name, "bash", "-c", &script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Listens inside and sends back what each client says, until the client closes first.
    fn echo(&self, address: &str) {
        self.serve(address, |mut stream| {
            let mut byte = [0];
            while matches!(stream.read(&mut byte), Ok(1)) && stream.write_all(&byte).is_ok() {}
        });
    }

    /// Listens inside and answers every connection with who it is and, where the kernel tracks
    /// connections (which it does once there are rules), where this one was meant to go.
    fn listen(&self, address: &str, who: &'static str) {
        self.serve(address, move |mut stream| {
            let socket = socket2::SockRef::from(&stream);
            let original = socket
                .original_dst_v4()
                .or_else(|_| socket.original_dst_v6());
            let _ = match original.ok().and_then(|address| address.as_socket()) {
                Some(meant) => write!(stream, "{who} for {meant}"),
                None => write!(stream, "{who}"),
            };
        });
    }

    fn serve(&self, address: &str, answer: impl Fn(TcpStream) + Send + 'static) {
        let namespace = std::fs::File::open(format!("/run/netns/{}", self.name)).unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let (ready, listening) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let net = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(net)).unwrap();
            let listener = TcpListener::bind(address).unwrap();
            ready.send(()).unwrap();
            for stream in listener.incoming() {
                answer(stream.unwrap());
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

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "-4" } else { "-6" }
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
        assert_eq!(mark, pod.mark(), "{run} run: {output:?}");
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
        let answer = pod.connect_from_inside(inside);
        let expected = format!("app for {inside}");
        assert_eq!(answer, expected);
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
    let _sidecar = pod.sidecar();
    let answers = pod.addresses.map(|address| connect(address, 8080));
    for (address, answer) in pod.addresses.into_iter().zip(answers) {
        assert_eq!(
            answer,
            Ok(format!("app for {}", SocketAddr::new(address, 8080)))
        );
    }
}

/// Somebody else's alias took the place of the mark: the rules are in force all the same, and nobody
/// is cut off by them.
#[test]
fn a_lost_mark_cuts_nobody_off() {
    let pod = PodNetwork::new();
    pod.redirect(BIRTH, &[]);
    ip(&format!("-n {} link set lo alias uplink", pod.name));
    pod.listen("[::]:8080", "app");
    let _sidecar = pod.sidecar();
    for address in pod.addresses {
        let expected = format!("app for {}", SocketAddr::new(address, 8080));
        assert_eq!(connect(address, 8080), Ok(expected));
    }
}

/// The pod's addresses are routed by `lo` and by nothing else, also after a second run, and nobody
/// who has to find the pod is misled: neighbors that know nothing any more find it, and what the
/// pod opens to others gets there.
#[test]
fn the_pod_is_found_as_before() {
    let pod = PodNetwork::new();
    pod.listen("[::]:17440", "relay");
    pod.listen("[::]:8080", "app");
    for _ in 0..2 {
        pod.redirect(BIRTH, &[]);
        for (address, outside) in pod.addresses.into_iter().zip(pod.outside) {
            let routes = pod.local_routes(address);
            assert!(
                routes.len() == 1 && routes[0].contains(" dev lo "),
                "{routes:?}"
            );
            pod.forget_neighbors();
            let expected = format!("relay for {}", SocketAddr::new(address, 8080));
            assert_eq!(connect(address, 8080), Ok(expected));
            pod.forget_neighbors();
            let listener = TcpListener::bind((outside, 0)).unwrap();
            let to = listener.local_addr().unwrap();
            let answering = thread::spawn(move || {
                let (mut stream, peer) = listener.accept().unwrap();
                write!(stream, "{}", peer.ip()).unwrap();
            });
            assert_eq!(pod.connect_from_inside(to), address.to_string());
            answering.join().unwrap();
        }
    }
}

/// Where a connection over `lo` does not work, because of a route that we do not know, the address
/// keeps the routes that it had, and the pod serves.
#[test]
fn routes_that_do_not_work_are_put_back() {
    let pod = PodNetwork::new();
    let devices = |address| -> Vec<bool> {
        let routes = pod.local_routes(address);
        routes
            .iter()
            .map(|route| route.contains(" eth0 "))
            .collect()
    };
    for address in pod.addresses {
        let family = family(address);
        let route = format!("local {address} dev eth0 table local metric 5");
        ip(&format!("-n {} {family} route add {route}", pod.name));
        assert_eq!(devices(address), [true, true]);
    }
    let (output, mark) = pod.redirect(BIRTH, &[]);
    assert_eq!(mark, "ebb redirect socket-wildcard", "{output:?}");
    pod.listen("[::]:8080", "app");
    let _sidecar = pod.sidecar();
    for address in pod.addresses {
        assert_eq!(devices(address), [true, true], "{output:?}");
        let expected = format!("app for {}", SocketAddr::new(address, 8080));
        assert_eq!(connect(address, 8080), Ok(expected));
    }
}

/// The number of ports that the app can be dialed from, in the next two tests.
const PORTS: usize = 64;

/// Makes connections that are closed by their client first, until one is lost; returns how many
/// were not.
fn connections_until_one_is_lost(address: IpAddr, at_most: usize) -> usize {
    let works = |_: &usize| {
        let exchange = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect((address, 8080))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"x")?;
            stream.read_exact(&mut [0])
        };
        exchange().is_ok()
    };
    (0..at_most).take_while(works).count()
}

fn few_ports(pod: &PodNetwork) {
    let range = format!("net.ipv4.ip_local_port_range=40000 {}", 40000 + PORTS - 1);
    let output = Command::new("ip")
        .args(["netns", "exec", &pod.name, "sysctl", "-w", &range])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Connections that their clients close first leave the relay's ports in TIME_WAIT for a minute.
/// More of them than there are ports are served, since ports of connections over `lo` are free
/// again after a second.
#[test]
fn ports_in_time_wait_are_used_again() {
    let pod = PodNetwork::new();
    pod.redirect(BIRTH, &[]);
    few_ports(&pod);
    pod.echo("[::]:8080");
    let _sidecar = pod.sidecar();
    for address in pod.addresses {
        let number = PORTS * 5 / 2;
        assert_eq!(connections_until_one_is_lost(address, number), number);
    }
    assert!(pod.counter("ebb_port_waits_total") > 0);
    assert_eq!(pod.counter("ebb_port_losses_total"), 0);
}

/// Without the mark's word the sidecar does not dial over `lo`. The ports then run out, which is
/// waited for, for a while, and counted.
#[test]
fn ports_that_ran_out_are_counted() {
    let pod = PodNetwork::new();
    pod.redirect(BIRTH, &[]);
    let name = &pod.name;
    Command::new("ip")
        .args(["-n", name, "link", "set", "lo", "alias"])
        .arg("ebb redirect socket-wildcard")
        .status()
        .unwrap();
    few_ports(&pod);
    pod.echo("[::]:8080");
    let _sidecar = pod.sidecar();
    assert_eq!(
        connections_until_one_is_lost(pod.addresses[0], 2 * PORTS),
        PORTS
    );
    assert_eq!(pod.counter("ebb_port_waits_total"), 1);
    assert_eq!(pod.counter("ebb_port_losses_total"), 1);
}

/// When somebody changes the routes under a running sidecar, connections take longer until that is
/// known, and none is lost.
#[test]
fn a_changed_route_loses_nothing() {
    let pod = PodNetwork::new();
    pod.redirect(BIRTH, &[]);
    pod.echo("[::]:8080");
    let _sidecar = pod.sidecar();
    for address in pod.addresses {
        assert_eq!(connections_until_one_is_lost(address, 1), 1);
        let family = family(address);
        let route = format!("local {address} dev eth0 table local metric 5");
        ip(&format!("-n {} {family} route add {route}", pod.name));
        assert_eq!(connections_until_one_is_lost(address, 3), 3);
    }
}
