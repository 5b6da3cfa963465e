//! A pod as the API server sends it. Only what decides is read at all: a whole pod is ten times its
//! view.

use super::imposed::{Imposed, LIMIT_RANGER_ANNOTATION};
use super::{Deletion, Owner, PodView, SidecarState, SidecarView};
use ebb_api::annotations::Annotations;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::names::{
    BOOTSTRAP_VARIABLE, Inject, KEY_ANNOTATION, ORIGINAL_GRACE_ANNOTATION, REDIRECT_CONTAINER,
    REFUSED_ANNOTATION, SIDECAR_CONTAINER, UNHELD_ANNOTATION,
};
use ebb_api::report::FinalReport;
use ebb_api::settings::{DEFAULT_GRACE_SECONDS, Settings};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The label by which a Deployment's ReplicaSet tells its pods from those of its siblings; its name
/// ends with the same word.
const TEMPLATE_HASH_LABEL: &str = "pod-template-hash";

/// The most letters that the reason of an Event may have.
const LONGEST_REASON: usize = 128;

/// How many sentences of the webhook's about a sidecar's resources are kept, and how many letters
/// of each. It writes no more than these; what stands in a pod may be anybody's.
const MOST_SENTENCES: usize = 4;
const LONGEST_SENTENCE: usize = 300;

/// A pod, read no further than is needed.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = Pod)]
pub struct NarrowPod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    host_network: Option<bool>,
    termination_grace_period_seconds: Option<i64>,
    init_containers: Option<Vec<Container>>,
    containers: Option<Vec<AppContainer>>,
}

#[derive(Clone, Debug, Deserialize)]
struct AppContainer {
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    env: Option<Vec<Variable>>,
    #[serde(default)]
    resources: Option<Resources>,
}

#[derive(Clone, Debug, Deserialize)]
struct Resources {
    #[serde(default)]
    limits: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Variable {
    name: String,
    value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    conditions: Option<Vec<Condition>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    restart_count: i32,
    #[serde(default)]
    state: ContainerState,
    #[serde(default)]
    last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    running: Option<serde::de::IgnoredAny>,
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Deserialize)]
struct Terminated {
    message: Option<String>,
}

impl NarrowPod {
    /// Narrows it to its view.
    pub fn view(self) -> PodView {
        let sidecar = self.sidecar();
        let NarrowPod {
            metadata,
            spec,
            status,
        } = self;
        let labels = metadata.labels.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        PodView {
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            created: metadata
                .creation_timestamp
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            owner: owner(metadata.owner_references, &labels),
            inject: Inject::of(Some(&labels)),
            refused: metadata
                .annotations
                .and_then(|mut annotations| annotations.remove(REFUSED_ANNOTATION))
                .filter(|word| is_reason(word)),
            host_network: spec.host_network.unwrap_or(false),
            finished: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            ready: conditions
                .iter()
                .any(|condition| condition.r#type == "Ready" && condition.status == "True"),
            grace_seconds: seconds(spec.termination_grace_period_seconds)
                .unwrap_or(DEFAULT_GRACE_SECONDS),
            ip: status.pod_ip.and_then(|ip| ip.parse().ok()),
            deletion: metadata.deletion_timestamp.map(|_| Deletion {
                grace_seconds: seconds(metadata.deletion_grace_period_seconds),
            }),
            sidecar,
            labels,
        }
    }

    /// Reads what the webhook wrote into the spec and kubelet into the status. What somebody else
    /// has spoiled counts as unset: such a sidecar ran on something else, too.
    fn sidecar(&self) -> Option<SidecarView> {
        let containers = self.spec.init_containers.as_deref().unwrap_or_default();
        let named = |name| containers.iter().find(move |it| it.name == name);
        let container = named(SIDECAR_CONTAINER)?;
        let mut variables = container.env.iter().flatten();
        // A container of that name without a bootstrap is somebody else's.
        let variable = variables.find(|variable| variable.name == BOOTSTRAP_VARIABLE)?;
        let bootstrap = variable.value.as_deref();
        let bootstrap =
            bootstrap.and_then(|bootstrap| serde_json::from_str::<Bootstrap>(bootstrap).ok());
        let mut statuses = self.status.init_container_statuses.iter().flatten();
        let status = statuses.find(|status| status.name == SIDECAR_CONTAINER);
        let annotations = self.metadata.annotations.as_ref();
        let annotation = |name: &str| annotations.and_then(|annotations| annotations.get(name));
        let limits = container.resources.as_ref();
        let limits = limits.and_then(|resources| resources.limits.as_ref());
        let imposed = match (limits, &bootstrap) {
            (Some(limits), Some(bootstrap)) => {
                let said = annotation(LIMIT_RANGER_ANNOTATION).map(String::as_str);
                Imposed::find(limits, &bootstrap.limits, said)
            }
            _ => Vec::new(),
        };
        let fitted = bootstrap.iter().flat_map(|bootstrap| &bootstrap.fitted);
        let shown = |text: &String| text.chars().take(LONGEST_SENTENCE).collect();
        let fitted = fitted.take(MOST_SENTENCES).map(shown).collect();
        let (last, garbled) = match status.and_then(ContainerStatus::last_words) {
            Some(Ok(last)) => (Some(last), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        Some(SidecarView {
            key: annotation(KEY_ANNOTATION).cloned().unwrap_or_default(),
            bootstrap_settings: bootstrap
                .map_or_else(Settings::without_policy, |bootstrap| bootstrap.settings),
            original_grace_seconds: annotation(ORIGINAL_GRACE_ANNOTATION)
                .and_then(|value| value.parse().ok())
                .unwrap_or(DEFAULT_GRACE_SECONDS),
            redirect_step: named(REDIRECT_CONTAINER).is_some(),
            unheld: annotation(UNHELD_ANNOTATION)
                .map(|names| self.containers_of(names))
                .unwrap_or_default(),
            unusable: Annotations::read(|name| annotation(name).map(String::as_str))
                .unusable
                .iter()
                .map(ToString::to_string)
                .collect(),
            fitted,
            imposed,
            state: status.map_or(SidecarState::NotStarted, ContainerStatus::sidecar_state),
            restarts: status.map_or(0, |status| status.restart_count.max(0).unsigned_abs()),
            last,
            garbled,
        })
    }
}

impl NarrowPod {
    /// Those of the names that are of containers of this pod.
    fn containers_of(&self, names: &str) -> Vec<String> {
        let names = names.split(',').map(str::trim);
        let containers = self.spec.containers.as_deref().unwrap_or_default();
        names
            .filter(|name| containers.iter().any(|container| container.name == *name))
            .map(str::to_owned)
            .collect()
    }
}

impl ContainerStatus {
    fn sidecar_state(&self) -> SidecarState {
        if self.state.running.is_some() {
            SidecarState::Running
        } else if self.state.terminated.is_some() || self.last_state.terminated.is_some() {
            SidecarState::Ended
        } else {
            SidecarState::NotStarted
        }
    }

    /// A sidecar that has nothing to tell leaves none.
    fn last_words(&self) -> Option<serde_json::Result<Box<FinalReport>>> {
        let ends = [&self.state.terminated, &self.last_state.terminated];
        let message = ends
            .into_iter()
            .flatten()
            .find_map(|end| end.message.as_deref())?;
        (!message.is_empty()).then(|| serde_json::from_str(message))
    }
}

/// What a person would roll out to replace the pod: of a Deployment's pod the Deployment, not its
/// ReplicaSet.
fn owner(
    references: Option<Vec<OwnerReference>>,
    labels: &BTreeMap<String, String>,
) -> Option<Owner> {
    let references = references.unwrap_or_default();
    let owner = references
        .into_iter()
        .find(|owner| owner.controller == Some(true))?;
    if owner.kind == "ReplicaSet"
        && let Some(hash) = labels.get(TEMPLATE_HASH_LABEL)
        && let Some(name) = owner.name.strip_suffix(hash.as_str())
        && let Some(name) = name.strip_suffix('-')
    {
        return Some(Owner {
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
        });
    }
    Some(Owner {
        kind: owner.kind,
        name: owner.name,
    })
}

/// Whether a text can stand as the reason of a condition and of an Event; the webhook writes no
/// others.
fn is_reason(word: &str) -> bool {
    (1..=LONGEST_REASON).contains(&word.len())
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn seconds(value: Option<i64>) -> Option<u32> {
    value.map(|value| u32::try_from(value.max(0)).unwrap_or(u32::MAX))
}
