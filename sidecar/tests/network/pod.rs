//! A pod's network: a namespace of its own with one interface, and what runs in it.

use crate::sidecar::Sidecar;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// A pod's network: a namespace with one interface, whose other end is in this one.
pub(crate) struct PodNetwork {
    pub(crate) name: String,
    /// The name of the other end.
    pub(crate) host: String,
    /// IPv4 and IPv6, inside.
    pub(crate) addresses: [IpAddr; 2],
    /// The same of the other end.
    pub(crate) outside: [IpAddr; 2],
}

/// A process inside that ends with its test.
pub(crate) struct Inside(Child);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

impl PodNetwork {
    pub(crate) fn new() -> PodNetwork {
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
    pub(crate) fn redirect(&self, bootstrap: &str, wrapper: &[&str]) -> (Output, String) {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .args(wrapper)
            .args([env!("CARGO_BIN_EXE_ebb-sidecar"), "redirect"])
            .env("EBB_BOOTSTRAP", bootstrap)
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
    pub(crate) fn mark(&self) -> String {
        let [four, six] = self.addresses;
        format!("ebb redirect socket-wildcard lo {four} {six}")
    }

    /// The routes of one of the pod's addresses in the table `local`.
    pub(crate) fn local_routes(&self, address: IpAddr) -> Vec<String> {
        let family = family(address);
        let routes = ip(&format!(
            "-n {} {family} route show table local {address}",
            self.name
        ));
        routes.lines().map(|line| line.trim().to_owned()).collect()
    }

    /// Starts the sidecar's own process, and waits until it serves.
    pub(crate) fn sidecar(&self, bootstrap: &str) -> Sidecar {
        Sidecar::start(&self.name, self.addresses[0], bootstrap)
    }

    /// Another IPv4 address of the other end, which the pod can reach.
    pub(crate) fn second_outside(&self) -> IpAddr {
        // In the same block (RFC 2544), far from those of all tests.
        let IpAddr::V4(first) = self.outside[0] else {
            panic!("the first address is one of IPv4");
        };
        let second = std::net::Ipv4Addr::from(u32::from(first) - 1 + (1 << 15));
        ip(&format!("addr add {second}/32 dev {}", self.host));
        ip(&format!("-n {} route add {second}/32 dev eth0", self.name));
        second.into()
    }

    /// Sets something of the pod's network.
    pub(crate) fn sysctl(&self, setting: &str) {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name, "sysctl", "-w", setting])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Forgets which neighbor has which hardware address, on both ends of the wire.
    pub(crate) fn forget_neighbors(&self) {
        ip(&format!("neigh flush dev {}", self.host));
        ip(&format!("-n {} neigh flush dev eth0", self.name));
    }

    /// A connection from inside of the pod on which this is said, for as long as the process lives.
    pub(crate) fn open_inside(&self, to: SocketAddr, text: &str) -> Inside {
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}; printf {text} >&3; exec cat <&3",
            to.ip(),
            to.port()
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "bash", "-c", &script]);
        Inside(command.spawn().unwrap())
    }

    /// What the other end of a connection from inside of the pod says.
    pub(crate) fn connect_from_inside(&self, to: SocketAddr) -> String {
        let script = format!("exec 3<>/dev/tcp/{}/{}; cat <&3", to.ip(), to.port());
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name, "bash", "-c", &script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Listens inside, and hands each connection to the test, which plays the app.
    pub(crate) fn app(&self, address: &str) -> Receiver<TcpStream> {
        let (hand_over, connections) = std::sync::mpsc::channel();
        self.serve(address, move |stream| {
            // The test has ended, and the process is about to.
            let _ = hand_over.send(stream);
        });
        connections
    }

    /// Listens inside and sends back what each client says, until the client closes first.
    pub(crate) fn echo(&self, address: &str) {
        self.serve(address, |mut stream| {
            let mut byte = [0];
            while matches!(stream.read(&mut byte), Ok(1)) && stream.write_all(&byte).is_ok() {}
        });
    }

    /// Listens inside and answers every connection with who it is and, where the kernel tracks
    /// connections (which it does once there are rules), where this one was meant to go.
    pub(crate) fn listen(&self, address: &str, who: &'static str) {
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

    pub(crate) fn serve(&self, address: &str, answer: impl Fn(TcpStream) + Send + 'static) {
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

pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .expect("the program ip is there");
    assert!(output.status.success(), "ip {arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "-4" } else { "-6" }
}

/// What the connection's other end says, or why there is none.
pub(crate) fn connect(address: IpAddr, port: u16) -> Result<String, std::io::ErrorKind> {
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
