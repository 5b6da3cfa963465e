//! The app's own containers: each gets our preStop hook, and its probes get the grace they had.

use super::grace::Grace;
use super::hooks::{self, PreStop};
use super::probes;
use super::reinvocation::EarlierPass;
use crate::admission::pod::ReviewedPod;
use ebb_api::bootstrap::{AppContainer, OwnHook};
use ebb_api::names::OWN_HOOK_ANNOTATION;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

/// What all containers of one pod have in common.
pub(super) struct TakeOver<'a> {
    pub pod: &'a ReviewedPod,
    pub earlier: Option<&'a EarlierPass>,
    pub grace: Grace,
    /// The token of the hook calls.
    pub token: &'a str,
}

/// The app's containers once they are taken over.
pub(super) struct TakenOver {
    /// What the sidecar must know of each.
    pub known: Vec<AppContainer>,
    /// The names of those that a drain can't hold.
    pub unheld: Vec<String>,
}

// === impl TakeOver ===

impl TakeOver<'_> {
    /// Writes into `containers`, the pod's own list of them.
    pub(super) fn run(&self, containers: &mut Value) -> TakenOver {
        let at_start = self.pod.annotation(OWN_HOOK_ANNOTATION) == Some("start");
        let mut taken = TakenOver {
            known: Vec::new(),
            unheld: Vec::new(),
        };
        for (index, container) in self.pod.spec().containers.iter().enumerate() {
            let written = &mut containers[index];
            let pre_stop = hooks::pre_stop(container, at_start);
            if pre_stop == PreStop::Foreign {
                taken.unheld.push(container.name.clone());
            } else {
                written["lifecycle"]["preStop"] = hooks::call(&container.name, self.token);
            }
            let restart = probes::restart_grace(container, self.grace);
            for probe in &restart.missing {
                written[probe.field]["terminationGracePeriodSeconds"] = json!(probe.seconds);
            }
            taken.known.push(AppContainer {
                name: container.name.clone(),
                ports: tcp_ports(container),
                probes: probes::connecting(container),
                restart_grace_seconds: restart.shortest_seconds,
                own_hook: self.own_hook(container, pre_stop),
            });
        }
        taken
    }

    /// The hook that the sidecar is to carry out for a container.
    fn own_hook(&self, container: &Container, pre_stop: PreStop) -> Option<OwnHook> {
        match pre_stop {
            PreStop::Own(own) => Some(own),
            PreStop::Ours => self.earlier?.own_hook(&container.name).cloned(),
            PreStop::Absent | PreStop::Foreign => None,
        }
    }
}

fn tcp_ports(container: &Container) -> Vec<u16> {
    let ports = container.ports.as_deref().unwrap_or_default().iter();
    ports
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(|port| u16::try_from(port.container_port).ok())
        .collect()
}
