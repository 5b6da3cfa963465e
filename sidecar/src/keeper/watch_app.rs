//! Finds out when an app's container that kubelet restarts serves again.

use super::Request;
use ebb_api::birth::AppContainer;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often the app's port is tried. Kubelet itself takes a second or more for a restart.
const INTERVAL: Duration = Duration::from_millis(200);

/// A task that runs while it is wanted.
#[derive(Debug)]
pub(super) struct AppWatch {
    ports: Vec<u16>,
    requests: mpsc::Sender<Request>,
    task: JoinSet<()>,
}

impl AppWatch {
    pub(super) fn new(containers: &[AppContainer], requests: mpsc::Sender<Request>) -> AppWatch {
        let ports = containers.iter().flat_map(|container| &container.ports);
        AppWatch {
            ports: ports.copied().collect(),
            requests,
            task: JoinSet::new(),
        }
    }

    /// Starts or stops the watch. Without a declared port there is nothing to try, and the drain
    /// machine's own time has to do.
    pub(super) fn set(&mut self, wanted: bool) {
        if !wanted {
            self.task.abort_all();
        } else if self.task.is_empty() && !self.ports.is_empty() {
            self.task
                .spawn(watch(self.ports.clone(), self.requests.clone()));
        }
        while self.task.try_join_next().is_some() {}
    }
}

/// The old app answers until it has shut down, so an answer counts only after a refusal.
async fn watch(ports: Vec<u16>, requests: mpsc::Sender<Request>) {
    while answer_all(&ports).await {
        tokio::time::sleep(INTERVAL).await;
    }
    while !answer_all(&ports).await {
        tokio::time::sleep(INTERVAL).await;
    }
    // The keeper is gone only when the process ends.
    let _ = requests.send(Request::AppAnswered).await;
}

async fn answer_all(ports: &[u16]) -> bool {
    for port in ports {
        if !answers(*port).await {
            return false;
        }
    }
    true
}

/// Connects over `lo`, which no rule redirects. Declared ports may be UDP ones or not served at
/// all; then nothing is ever found, which is the same as no declared port.
async fn answers(port: u16) -> bool {
    let addresses: [SocketAddr; 2] = [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ];
    let connect = TcpStream::connect(&addresses[..]);
    matches!(
        tokio::time::timeout(INTERVAL, connect).await,
        Ok(Ok(_stream))
    )
}
