//! Finds out when an app's container that kubelet restarts serves again.

use super::Request;
use ebb_api::birth::AppContainer;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often the app's port is tried. Kubelet itself takes a second or more for a restart.
const INTERVAL: Duration = Duration::from_millis(200);

/// A task that runs while it is wanted.
#[derive(Debug)]
pub(super) struct AppWatch {
    address: IpAddr,
    ports: Vec<u16>,
    requests: mpsc::Sender<Request>,
    task: JoinSet<()>,
}

impl AppWatch {
    pub(super) fn new(containers: &[AppContainer], requests: mpsc::Sender<Request>) -> AppWatch {
        let ports = containers.iter().flat_map(|container| &container.ports);
        AppWatch {
            address: Ipv4Addr::LOCALHOST.into(),
            ports: ports.copied().collect(),
            requests,
            task: JoinSet::new(),
        }
    }

    /// The address that the app is to be tried at: the pod's own, as kubelet knows it.
    pub(super) fn reach_at(&mut self, address: IpAddr) {
        self.address = address;
    }

    /// Starts or stops the watch. Without a declared port there is nothing to try, and the drain
    /// machine's own time has to do.
    pub(super) fn set(&mut self, wanted: bool) {
        if !wanted {
            self.task.abort_all();
        } else if self.task.is_empty() && !self.ports.is_empty() {
            let watch = watch(self.address, self.ports.clone(), self.requests.clone());
            self.task.spawn(watch);
        }
        while self.task.try_join_next().is_some() {}
    }
}

/// The old app answers until it has shut down, so an answer counts only after a refusal.
async fn watch(address: IpAddr, ports: Vec<u16>, requests: mpsc::Sender<Request>) {
    while answer_all(address, &ports).await {
        tokio::time::sleep(INTERVAL).await;
    }
    while !answer_all(address, &ports).await {
        tokio::time::sleep(INTERVAL).await;
    }
    // The keeper is gone only when the process ends.
    let _ = requests.send(Request::AppAnswered).await;
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
