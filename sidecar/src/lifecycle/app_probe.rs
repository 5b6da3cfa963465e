//! A TCP probe: finds out when an app's container that kubelet restarts serves again.

use super::Message;
use ebb_api::bootstrap::AppContainer;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often the app's port is tried. Kubelet itself takes a second or more for a restart.
const INTERVAL: Duration = Duration::from_millis(200);

/// A task that runs while containers are being restarted.
#[derive(Debug)]
pub(super) struct AppProbe {
    address: IpAddr,
    ports: BTreeMap<String, Vec<u16>>,
    messages: mpsc::Sender<Message>,
    /// The containers that `task` waits for.
    restarting: BTreeSet<String>,
    task: JoinSet<()>,
}

impl AppProbe {
    pub(super) fn new(containers: &[AppContainer], messages: mpsc::Sender<Message>) -> AppProbe {
        let ports_of = |container: &AppContainer| (container.name.clone(), container.ports.clone());
        AppProbe {
            address: Ipv4Addr::LOCALHOST.into(),
            ports: containers.iter().map(ports_of).collect(),
            messages,
            restarting: BTreeSet::new(),
            task: JoinSet::new(),
        }
    }

    /// The address that the app is to be tried at: the pod's own, as kubelet knows it.
    pub(super) fn reach_at(&mut self, address: IpAddr) {
        self.address = address;
    }

    /// Watches these containers and no others: the ports of one that goes on running would answer
    /// all the time. Where they declare none there is nothing to try, and the drain machine's own
    /// time has to do.
    pub(super) fn set(&mut self, restarting: &BTreeSet<String>) {
        if self.restarting == *restarting {
            return;
        }
        self.restarting.clone_from(restarting);
        // A new set, which aborts what is in the old one: a watch that was aborted a moment ago
        // must not stand in the way of the next.
        self.task = JoinSet::new();
        let ports = self.ports_of(restarting);
        if !ports.is_empty() {
            self.task
                .spawn(watch(self.address, ports, self.messages.clone()));
        }
    }

    fn ports_of(&self, restarting: &BTreeSet<String>) -> Vec<u16> {
        let ports = |name| self.ports.get(name).into_iter().flatten().copied();
        restarting.iter().flat_map(ports).collect()
    }
}

/// The old app answers until it has shut down, so an answer counts only after a refusal.
async fn watch(address: IpAddr, ports: Vec<u16>, messages: mpsc::Sender<Message>) {
    while answer_all(address, &ports).await {
        tokio::time::sleep(INTERVAL).await;
    }
    while !answer_all(address, &ports).await {
        tokio::time::sleep(INTERVAL).await;
    }
    // The lifecycle is gone only when the process ends.
    let _ = messages.send(Message::AppAnswered).await;
}

/// Declared ports may be UDP ones or not served at all; then nothing is ever found, which is the
/// same as no declared port. A connection from inside of the pod comes over `lo`, and no rule
/// redirects it.
async fn answer_all(address: IpAddr, ports: &[u16]) -> bool {
    for port in ports {
        let connect = TcpStream::connect((address, *port));
        if !matches!(
            tokio::time::timeout(INTERVAL, connect).await,
            Ok(Ok(_stream))
        ) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, ports: Vec<u16>) -> AppContainer {
        AppContainer {
            name: name.to_owned(),
            ports,
            probes: Vec::new(),
            restart_grace_seconds: None,
            own_hook: None,
        }
    }

    fn set_of(name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }

    /// Another container's port answers all the time and tells nothing; and a second restart is
    /// watched although the watch of the first has just been stopped.
    #[tokio::test]
    async fn only_the_restarted_containers_are_watched_each_time() {
        let containers = [
            container("web", vec![8080, 8443]),
            container("log", vec![9000]),
            container("job", Vec::new()),
        ];
        let (messages, _inbox) = mpsc::channel(1);
        let mut probe = AppProbe::new(&containers, messages);
        assert_eq!(probe.ports_of(&set_of("web")), [8080, 8443]);
        probe.set(&set_of("job"));
        assert!(probe.task.is_empty(), "there is nothing to try");
        for _ in 0..2 {
            probe.set(&set_of("web"));
            assert_eq!(probe.task.len(), 1);
            probe.set(&BTreeSet::new());
            assert!(probe.task.is_empty());
        }
    }
}
