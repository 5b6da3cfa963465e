//! The sidecar's own process in a pod's network, and what is asked of it.

use ebb_api::names::SIDECAR_CONTAINER;
use ebb_api::report::{FinalReport, Report};
use ebb_netns::bootstrap::APP;
use ebb_netns::process::resident;
use ebb_netns::{admin, sidecar};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Far more than anything here takes, far less than a person waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A sidecar that serves; what it has said is printed when its test fails.
pub(crate) struct Sidecar(sidecar::Sidecar);

/// The calls of both preStop hooks.
pub(crate) struct Hooks<'a> {
    sidecar: &'a Sidecar,
    calls: admin::Hooks,
}

impl Hooks<'_> {
    /// Neither is released by now.
    pub(crate) fn are_held(&self, why: &str) {
        self.calls.are_held().expect(why);
    }

    /// Waits until both are released: the final report that the sidecar would leave then.
    pub(crate) fn released(self) -> FinalReport {
        self.calls.released().unwrap();
        self.sidecar.0.last_words().unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the sidecar said:\n{}", self.0.process.said());
        }
    }
}

impl Sidecar {
    /// Waits until it serves.
    pub(crate) fn started(mut sidecar: sidecar::Sidecar) -> Sidecar {
        sidecar.started().unwrap();
        Sidecar(sidecar)
    }

    /// A number among the metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.0.admin().metric(name).unwrap()
    }

    /// All of them.
    pub(crate) fn metrics(&self) -> String {
        self.0.admin().metrics().unwrap()
    }

    /// Whether kubelet's readiness probe passes.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.admin().is_ready()
    }

    pub(crate) fn report(&self) -> Report {
        self.0.admin().status().unwrap()
    }

    /// Waits until the report says so.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&Report) -> bool) -> Report {
        self.0.admin().until(what, PATIENCE, so).unwrap()
    }

    /// Calls the preStop hooks of the app's container and of the sidecar, as kubelet does.
    pub(crate) fn call_hooks(&self) -> Hooks<'_> {
        self.call_hooks_of(&[APP, SIDECAR_CONTAINER])
    }

    /// The same for the sidecar's alone, where the app's container is held in another way.
    pub(crate) fn call_own_hook(&self) -> Hooks<'_> {
        self.call_hooks_of(&[SIDECAR_CONTAINER])
    }

    fn call_hooks_of(&self, containers: &[&str]) -> Hooks<'_> {
        let calls = self.0.admin().call_hooks(containers);
        Hooks {
            sidecar: self,
            calls: calls.unwrap(),
        }
    }

    /// The memory that is resident, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.0.process.pid()).unwrap()
    }

    /// The connections over IPv4 of its network that are being made and have no answer yet, each by
    /// the number of its socket.
    pub(crate) fn dialing(&self) -> BTreeSet<u64> {
        const SYN_SENT: &str = "02";
        let path = format!("/proc/{}/net/tcp", self.0.process.pid());
        let table = std::fs::read_to_string(path).unwrap();
        let rows = table
            .lines()
            .map(|row| row.split_whitespace().collect::<Vec<_>>());
        let dialing = rows.filter(|row| row.get(3) == Some(&SYN_SENT));
        dialing.map(|row| row[9].parse().unwrap()).collect()
    }

    /// Kills it, as a lack of memory would, and waits until the process has ended.
    pub(crate) fn kill(&mut self) {
        self.0.process.signal(Signal::KILL).unwrap();
        self.0.process.ended(PATIENCE).unwrap();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.0.process.signal(signal).unwrap();
    }

    /// Whether the process ends within that time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        self.0.process.ended(time).is_ok()
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub(crate) fn end(&mut self) {
        self.0.process.signal(Signal::TERM).unwrap();
        self.0.process.ended(PATIENCE).unwrap();
    }
}
