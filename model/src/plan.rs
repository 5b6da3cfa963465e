//! What is to be: pure functions of the views.

pub mod conditions;
pub mod leave;
pub mod protection;
pub mod reach;
pub mod select;
pub mod services;
pub mod settings;

use crate::views::{NamespaceView, PodView, SidecarState};
use ebb_api::desired::{Endpoints, Leave, Services};
use ebb_api::names::ADMIN_PORT;
use ebb_api::settings::Settings;
use std::net::SocketAddr;

/// What is wanted of one sidecar: the desired state without what only its own start can give (boot
/// and revision), and where to send it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Where the sidecar listens.
    pub address: SocketAddr,
    /// The UID of its pod.
    pub pod: String,
    /// The namespace of its pod.
    pub namespace: String,
    /// The name of its pod.
    pub name: String,
    /// The id of the key to sign with.
    pub key: String,
    /// How often the sidecar had been restarted: another number is another start, which has
    /// accepted no state yet.
    pub restarts: u32,
    /// The settings in force.
    pub settings: Settings,
    /// Whether the pod is to leave, and why.
    pub leave: Option<Leave>,
    /// The pod's endpoints, as the cluster still has them.
    pub endpoints: Endpoints,
    /// How the clients of its Services fare.
    pub services: Services,
}

/// What is wanted of the pod's sidecar, which acts on these [settings](settings::settings); `None`
/// while there is none that runs.
pub fn wanted(namespace: &NamespaceView, pod: &PodView, settings: &Settings) -> Option<Wanted> {
    let sidecar = pod.sidecar.as_ref()?;
    if pod.finished || sidecar.state != SidecarState::Running {
        return None;
    }
    Some(Wanted {
        address: SocketAddr::new(pod.ip?, ADMIN_PORT),
        pod: pod.uid.clone(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        key: sidecar.key.clone(),
        restarts: sidecar.restarts,
        settings: settings.clone(),
        leave: leave::leave(pod),
        endpoints: leave::endpoints(namespace, pod),
        services: services::services(namespace, pod),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{injected, pod};

    /// In a pod without a running sidecar there is none to push to.
    #[test]
    fn only_a_running_sidecar_is_spoken_to() {
        let namespace = NamespaceView::default();
        let of = |pod: &PodView| wanted(&namespace, pod, &Settings::without_policy());
        assert_eq!(of(&pod("a")), None);
        let mut ended = injected("a");
        ended.sidecar.as_mut().unwrap().state = SidecarState::Ended;
        assert_eq!(of(&ended), None);
        let mut without_ip = injected("a");
        without_ip.ip = None;
        assert_eq!(of(&without_ip), None);
        assert!(of(&injected("a")).is_some());
    }
}
