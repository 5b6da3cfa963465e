//! The sidecar's own process in a pod's network, and what is asked of it.

use ebb_api::report::{FinalReport, Report};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything here takes, far less than a person waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with its test.
pub(crate) struct Sidecar {
    process: Child,
    admin: SocketAddr,
}

/// The calls of both preStop hooks; each sends when it is released.
pub(crate) struct Hooks<'a> {
    sidecar: &'a Sidecar,
    releases: Receiver<()>,
}

impl Hooks<'_> {
    /// Neither is released by now.
    pub(crate) fn are_held(&self, why: &str) {
        let released = self.releases.recv_timeout(Duration::ZERO);
        assert_eq!(released, Err(RecvTimeoutError::Timeout), "{why}");
    }

    /// Waits until both are released: what the sidecar would leave behind then.
    pub(crate) fn released(self) -> FinalReport {
        for _ in 0..2 {
            let released = self.releases.recv_timeout(PATIENCE);
            released.expect("a released hook");
        }
        self.sidecar.last_words()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Sidecar {
    /// Starts it with this bootstrap, and waits until it serves. Its `/dev` is its own, so that its
    /// termination message is.
    pub(crate) fn start(namespace: &str, address: IpAddr, bootstrap: &str) -> Sidecar {
        Sidecar::start_behind("true", namespace, address, bootstrap)
    }

    /// The same behind a command of the shell that changes what the process may do.
    pub(crate) fn start_behind(
        command_before: &str,
        namespace: &str,
        address: IpAddr,
        bootstrap: &str,
    ) -> Sidecar {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", namespace, "sh", "-c"])
            .arg(format!(
                "mount -t tmpfs dev /dev && {command_before} && exec \"$0\""
            ))
            .arg(env!("CARGO_BIN_EXE_ebb-sidecar"))
            .env("EBB_BOOTSTRAP", bootstrap)
            .env("EBB_POD_UID", "uid");
        let sidecar = Sidecar {
            process: command.spawn().unwrap(),
            admin: (address, 17441).into(),
        };
        wait_until("the sidecar to start", PATIENCE, || {
            TcpStream::connect(sidecar.admin).is_ok()
        });
        sidecar
    }

    /// A number among the metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = call(self.admin, "/metrics", "");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .trim()
            .parse()
            .unwrap()
    }

    pub(crate) fn report(&self) -> Report {
        serde_json::from_str(&call(self.admin, "/v1/status", "")).unwrap()
    }

    /// Waits until the report says so.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&Report) -> bool) -> Report {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let report = self.report();
            if so(&report) {
                return report;
            }
            assert!(
                Instant::now() < deadline,
                "waited for: {what}; it is {report:?}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Calls the preStop hooks of the container `web` and of the sidecar, as kubelet does.
    pub(crate) fn call_hooks(&self) -> Hooks<'_> {
        let (released, releases) = channel();
        for container in ["web", "ebb"] {
            let (released, admin) = (released.clone(), self.admin);
            thread::spawn(move || {
                call(admin, &format!("/hook/{container}"), "ebb-token: t\r\n");
                let _ = released.send(());
            });
        }
        Hooks {
            sidecar: self,
            releases,
        }
    }

    /// The memory that is resident, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub(crate) fn end(&mut self) {
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::TERM).unwrap();
        wait_until("the sidecar to end", PATIENCE, || {
            self.process.try_wait().unwrap().is_some()
        });
    }

    /// The termination message.
    pub(crate) fn last_words(&self) -> FinalReport {
        let path = format!("/proc/{}/root/dev/termination-log", self.process.id());
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

/// The body of an answer of the admin port, whenever it comes.
fn call(admin: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

/// Waits for a condition, at most for so long; it looks less often as time passes.
pub(crate) fn wait_until(what: &str, patience: Duration, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(10);
    while !so() {
        assert!(Instant::now() < deadline, "waited for: {what}");
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(250));
    }
}
