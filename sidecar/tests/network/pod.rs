//! A pod's network, what plays the app in it, and where this test's clients are.

use crate::sidecar::Sidecar;
use ebb_api::bootstrap::Bootstrap;
use ebb_netns::pod::{Outside, Pod};
use ebb_netns::sidecar::Launch;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// A pod on a cable. The thread of the test is in the network at its other end, so its clients are.
pub(crate) struct PodNetwork {
    pod: Pod,
    outside: Outside,
    folder: PathBuf,
    /// IPv4 and IPv6, inside.
    pub(crate) addresses: [IpAddr; 2],
    /// The same of the other end.
    pub(crate) outside_addresses: [IpAddr; 2],
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
        let (pod, outside) = Pod::cabled().expect("root, and the programs ip and unshare");
        outside.network().namespace().enter().unwrap();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("network-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        PodNetwork {
            addresses: pod.addresses().try_into().unwrap(),
            outside_addresses: outside.addresses().try_into().unwrap(),
            pod,
            outside,
            folder,
        }
    }

    /// Runs the redirect step, and returns the mark that it left.
    pub(crate) fn redirect(&self, bootstrap: &Bootstrap) -> (Output, String) {
        self.redirect_by(&launch(bootstrap))
    }

    /// The same in any way.
    pub(crate) fn redirect_by(&self, launch: &Launch) -> (Output, String) {
        let output = launch.redirect(&self.pod).unwrap();
        let lo = self.ip("link show lo");
        let mark = lo
            .lines()
            .find_map(|line| line.trim().strip_prefix("alias "));
        (output, mark.unwrap_or_default().to_owned())
    }

    /// The routes of one of the pod's addresses in the table `local`.
    pub(crate) fn local_routes(&self, address: IpAddr) -> Vec<String> {
        let family = family(address);
        let routes = self.ip(&format!("{family} route show table local {address}"));
        routes.lines().map(|line| line.trim().to_owned()).collect()
    }

    /// Starts the sidecar's own process, and waits until it serves.
    pub(crate) fn sidecar(&self, bootstrap: &Bootstrap) -> Sidecar {
        self.sidecar_by(&launch(bootstrap))
    }

    /// The same in any way.
    pub(crate) fn sidecar_by(&self, launch: &Launch) -> Sidecar {
        let started = launch.start(&self.pod, "sidecar", &self.folder);
        Sidecar::started(started.unwrap())
    }

    /// Another IPv4 address of the other end, which the pod can reach.
    pub(crate) fn second_outside(&self) -> IpAddr {
        // In the same block (RFC 2544), far from the others.
        let second: IpAddr = [198, 18, 192, 1].into();
        let interface = Outside::INTERFACE;
        self.ip_outside(&format!("address add {second}/32 dev {interface}"));
        self.ip(&format!("route replace {second}/32 dev eth0"));
        second
    }

    /// Leads what is for this address of the pod's into the cable.
    pub(crate) fn reach_from_outside(&self, address: IpAddr) {
        self.ip_outside(&format!(
            "route add {address}/32 dev {}",
            Outside::INTERFACE
        ));
    }

    /// Takes that address away again.
    pub(crate) fn remove_outside(&self, second: IpAddr) {
        let interface = Outside::INTERFACE;
        self.ip_outside(&format!("address del {second}/32 dev {interface}"));
    }

    /// Writes a setting of the pod's kernel: a path below `/proc/sys`.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.pod.network().set(setting, value).unwrap();
    }

    /// Forgets which neighbor has which hardware address, on both ends of the cable.
    pub(crate) fn forget_neighbors(&self) {
        self.ip_outside(&format!("neigh flush dev {}", Outside::INTERFACE));
        self.ip("neigh flush dev eth0");
    }

    /// Runs `ip` in the pod.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.pod.network().ip(arguments).unwrap()
    }

    fn ip_outside(&self, arguments: &str) {
        self.outside.network().ip(arguments).unwrap();
    }

    /// The path of a file in a folder of this test's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A program in the pod, which has nothing of our environment but `PATH`.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.pod.network().command(program)
    }

    /// Runs a program in the pod, and returns what it prints.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.pod.network().command(program);
        let output = command.args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a program in the pod, with this variable.
    pub(crate) fn start(&self, program: &Path, (name, value): (&str, &str)) -> Inside {
        let mut command = self.pod.network().command(program);
        Inside(command.env(name, value).spawn().unwrap())
    }

    /// A connection from inside of the pod on which this is said, for as long as the process lives.
    pub(crate) fn open_inside(&self, to: SocketAddr, text: &str) -> Inside {
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}; printf {text} >&3; exec cat <&3",
            to.ip(),
            to.port()
        );
        let mut command = self.pod.network().command("bash");
        Inside(command.args(["-c", &script]).spawn().unwrap())
    }

    /// What the other end of a connection from inside of the pod says.
    pub(crate) fn connect_from_inside(&self, to: SocketAddr) -> String {
        let script = format!("exec 3<>/dev/tcp/{}/{}; cat <&3", to.ip(), to.port());
        self.run("bash", &["-c", &script])
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
        self.listen_by(address, move |listener| {
            for stream in listener.incoming() {
                answer(stream.unwrap());
            }
        });
    }

    /// Listens inside, and hands the port over on a thread of its own.
    pub(crate) fn listen_by(&self, address: &str, run: impl FnOnce(TcpListener) + Send + 'static) {
        let inside = self.pod.network().namespace().clone();
        let listener = self.listener(address);
        thread::spawn(move || {
            inside.enter().unwrap();
            run(listener);
        });
    }

    /// Listens inside.
    pub(crate) fn listener(&self, address: &str) -> TcpListener {
        let address: SocketAddr = address.parse().unwrap();
        let inside = self.pod.network().namespace();
        inside.inside(|| Ok(TcpListener::bind(address)?)).unwrap()
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // What is left is in the folder of builds.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The mark of a redirect that worked, with these of the pod's addresses routed by `lo`.
pub(crate) fn redirect_mark(over_loopback: &[IpAddr]) -> String {
    let addresses: Vec<String> = over_loopback.iter().map(|it| format!("\"{it}\"")).collect();
    let addresses = addresses.join(",");
    format!(
        "ebb {{\"Redirect\":{{\"selection\":\"Listening\",\"over_loopback\":[{addresses}],\"instead\":null}}}}"
    )
}

/// The program that cargo has built, configured by the webhook.
pub(crate) fn launch(bootstrap: &Bootstrap) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_ebb-sidecar"), bootstrap)
}

/// The same, run by a line of shell that changes what the process may do.
pub(crate) fn launch_after(line: &str, bootstrap: &Bootstrap) -> Launch {
    launch(bootstrap).by(&["sh", "-c", &format!("{line} && exec \"$@\""), "sh"])
}

/// The same with this text in the place of a bootstrap.
pub(crate) fn launch_with(text: &str) -> Launch {
    Launch::with_text(env!("CARGO_BIN_EXE_ebb-sidecar"), text)
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
