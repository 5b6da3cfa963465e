//! The names of the app's ports, which the sidecar takes over in the mode NamedPorts.
//!
//! A Service that names its target port finds the sidecar's port of that name from then on, which
//! Kubernetes resolves among a pod's native sidecars too. Whatever in the pod itself names a port
//! (probes, lifecycle hooks) means the app's, and gets its number.

use super::reinvocation::EarlierPass;
use crate::admission::pod::ReviewedPod;
use ebb_api::capture::NamedPort;
use ebb_api::names::SIDECAR_CONTAINER;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The first port that the relay listens on; 17440 to 17442 have a meaning of their own.
const FIRST: u16 = 17450;

/// Where a container names a port: the field, and the kinds of calls below it.
const REFERENCES: [(&[&str], &[&str]); 5] = [
    (&["livenessProbe"], &["httpGet", "tcpSocket"]),
    (&["readinessProbe"], &["httpGet", "tcpSocket"]),
    (&["startupProbe"], &["httpGet", "tcpSocket"]),
    (&["lifecycle", "postStart"], &["httpGet", "tcpSocket"]),
    (&["lifecycle", "preStop"], &["httpGet", "tcpSocket"]),
];

/// The ports that the relay is to listen on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TakenNames {
    /// For the sidecar.
    pub ports: Vec<NamedPort>,
    /// For the sidecar's container: with the names.
    declared: Vec<Value>,
}

// === impl TakenNames ===

impl TakenNames {
    /// Takes the names from the containers in `spec`, which are those of `pod`, but for those of
    /// excluded ports. Names that an earlier pass has taken stay taken.
    pub(super) fn take(
        pod: &ReviewedPod,
        earlier: Option<&EarlierPass>,
        exclude_ports: &[u16],
        spec: &mut Value,
    ) -> TakenNames {
        let mut taken = TakenNames::of(pod, earlier);
        let mut used: BTreeSet<i32> = declared(pod).collect();
        used.extend(taken.ports.iter().map(|port| i32::from(port.listen)));
        let mut free = (FIRST..).filter(|port| !used.contains(&i32::from(*port)));
        for (index, container) in pod.spec().containers.iter().enumerate() {
            let mut names = BTreeMap::new();
            let ports = container.ports.as_deref().unwrap_or_default();
            for (place, port) in ports.iter().enumerate() {
                if port.protocol.as_deref().unwrap_or("TCP") != "TCP" {
                    continue;
                }
                let (Some(name), Ok(app)) = (&port.name, u16::try_from(port.container_port)) else {
                    continue;
                };
                if exclude_ports.contains(&app) {
                    continue;
                }
                let Some(listen) = free.next() else { continue };
                let written = &mut spec["containers"][index]["ports"][place];
                if let Some(written) = written.as_object_mut() {
                    written.remove("name");
                }
                taken.ports.push(NamedPort { listen, app });
                taken
                    .declared
                    .push(json!({"name": name, "containerPort": listen, "protocol": "TCP"}));
                names.insert(name.as_str(), app);
            }
            number_references(&mut spec["containers"][index], &names);
        }
        taken
    }

    /// Declares them on the sidecar's container.
    pub(super) fn declare(&self, spec: &mut Value) {
        let containers = spec["initContainers"].as_array_mut().into_iter().flatten();
        for container in containers.filter(|it| it["name"] == SIDECAR_CONTAINER) {
            if !self.declared.is_empty() {
                container["ports"] = json!(self.declared);
            }
        }
    }

    /// Those that an earlier pass has taken.
    fn of(pod: &ReviewedPod, earlier: Option<&EarlierPass>) -> TakenNames {
        let bootstrap = earlier.and_then(|earlier| earlier.bootstrap.as_ref());
        let Some(bootstrap) = bootstrap else {
            return TakenNames::default();
        };
        let containers = pod.object()["spec"]["initContainers"].as_array();
        let mut containers = containers.into_iter().flatten();
        let sidecar = containers.find(|container| container["name"] == SIDECAR_CONTAINER);
        let declared = sidecar.and_then(|sidecar| sidecar["ports"].as_array());
        TakenNames {
            ports: bootstrap.capture.ports.clone(),
            declared: declared.cloned().unwrap_or_default(),
        }
    }
}

/// The numbers of all ports that the pod declares.
fn declared(pod: &ReviewedPod) -> impl Iterator<Item = i32> {
    pod.all_containers()
        .flat_map(|container| container.ports.as_deref().unwrap_or_default())
        .map(|port| port.container_port)
}

/// Writes the number where the container names one of these ports.
fn number_references(container: &mut Value, names: &BTreeMap<&str, u16>) {
    for (path, calls) in REFERENCES {
        let field = path
            .iter()
            .try_fold(&mut *container, |at, key| at.get_mut(*key));
        let Some(field) = field else { continue };
        for call in calls {
            let port = field.get_mut(*call).and_then(|call| call.get_mut("port"));
            let number = port
                .as_ref()
                .and_then(|port| names.get(port.as_str()?).copied());
            if let (Some(port), Some(number)) = (port, number) {
                *port = json!(number);
            }
        }
    }
}
