//! The app's own containers: each gets our preStop hook, and its probes get the grace they had.

use super::grace::Grace;
use super::hooks::{self, PreStop};
use super::reinvocation::EarlierPass;
use super::{hold, probes};
use crate::admission::pod::ReviewedPod;
use ebb_api::bootstrap::{AppContainer, OwnHook};
use ebb_api::hold::{Held, Order};
use ebb_api::names::{OWN_HOOK_ANNOTATION, OwnHookTime};
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

/// What all containers of one pod have in common.
pub(super) struct TakeOver<'a> {
    pub pod: &'a ReviewedPod,
    pub earlier: Option<&'a EarlierPass>,
    pub grace: Grace,
    /// The token of the hook calls.
    pub token: &'a str,
    /// How long a hook may be held.
    pub hold_limit_seconds: u32,
}

/// The app's containers once they are taken over.
pub(super) struct TakenOver {
    /// What the sidecar must know of each.
    pub known: Vec<AppContainer>,
    /// The names of those that a drain can't hold.
    pub unheld: Vec<String>,
    /// Whether one of them has a command that is held, and so needs the program for that.
    pub commands: bool,
}

// === impl TakeOver ===

impl TakeOver<'_> {
    /// Writes into `containers`, the pod's own list of them.
    pub(super) fn run(&self, containers: &mut Value) -> TakenOver {
        let time = OwnHookTime::of(self.pod.annotation(OWN_HOOK_ANNOTATION));
        let mut taken = TakenOver {
            known: Vec::new(),
            unheld: Vec::new(),
            commands: false,
        };
        for (index, container) in self.pod.spec().containers.iter().enumerate() {
            let written = &mut containers[index];
            let pre_stop = hooks::pre_stop(container, time);
            match &pre_stop {
                PreStop::Foreign => taken.unheld.push(container.name.clone()),
                PreStop::Command(command) => {
                    let held = self.held(container, command, time);
                    written["lifecycle"]["preStop"] = hold::hook(&held);
                    hold::mount(written);
                    taken.commands = true;
                }
                PreStop::Absent | PreStop::Ours | PreStop::Own(_) => {
                    written["lifecycle"]["preStop"] = hooks::call(&container.name, self.token);
                }
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
            PreStop::Absent | PreStop::Command(_) | PreStop::Foreign => None,
        }
    }

    /// The container's own command, behind ours.
    fn held(&self, container: &Container, command: &[String], time: OwnHookTime) -> Held {
        Held {
            order: match time {
                OwnHookTime::Start => Order::Before,
                OwnHookTime::Unset
                | OwnHookTime::End
                | OwnHookTime::Leave
                | OwnHookTime::Garbage => Order::After,
            },
            container: container.name.clone(),
            token: self.token.to_owned(),
            limit_seconds: self.hold_limit_seconds,
            command: command.to_vec(),
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
