//! What the webhook makes of a pod: a pure function of the pod and of what is known about it.
//!
//! ```text
//!  initContainers: ebb-redirect   one-shot: writes the redirect rules (where the namespace permits)
//!                  ebb            the sidecar, before all others, so that it outlives them
//!                  …              the pod's own
//!  containers:     each with a preStop hook to the sidecar; its own hook moves into the bootstrap
//!  grace:          raised by what the drain needs; liveness and startup kills keep the old one
//! ```
//!
//! A second pass over a pod that has the sidecar adds nothing that is there: see
//! [`reinvocation`]. Our containers then stay as they are, whatever others
//! have made of them (a mirror's image, a default for resources), and only go to the front again.

mod containers;
mod eligibility;
mod grace;
mod hooks;
mod probes;
mod reinvocation;
mod resources;

pub use containers::SidecarConfig;
pub use eligibility::{Refusal, SkipReason};
pub use resources::SidecarResources;

use super::pod::ReviewedPod;
use ebb_api::bootstrap::{AppContainer, Bootstrap, Capture};
use ebb_api::names::{
    INJECTED_LABEL, Inject, KEY_ANNOTATION, ORIGINAL_GRACE_ANNOTATION, OWN_HOOK_ANNOTATION,
    REDIRECT_CONTAINER, REFUSED_ANNOTATION, SIDECAR_CONTAINER, UNHELD_ANNOTATION,
};
use ebb_api::policy::Ports;
use ebb_api::settings::Settings;
use eligibility::{Asked, Eligibility};
use grace::Grace;
use hooks::PreStop;
use k8s_openapi::api::core::v1::Container;
use reinvocation::EarlierPass;
use serde_json::{Value, json};

/// What is known about a pod under admission, besides the pod.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// What the label of its namespace says.
    pub namespace: Inject,
    /// Whether a container with the capability NET_ADMIN is admitted there.
    pub net_admin: bool,
    /// The policy in force for it.
    pub policy: Option<InForce>,
    /// The key whose signatures the sidecar is to accept.
    pub key: PublicKey,
    /// A token that nobody has seen, for the hook calls.
    pub token: String,
    /// Our containers.
    pub sidecar: &'a SidecarConfig,
}

/// What a policy says about the pods that it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its values with every default applied.
    pub settings: Settings,
    /// TCP ports that it treats apart.
    pub ports: Ports,
}

/// The public half of a key of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id.
    pub id: String,
    /// Ed25519, 32 bytes, in standard base64.
    pub base64: String,
}

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It gets the sidecar: the whole pod as it is to be.
    Inject(Value),
    /// It should get the sidecar and can't: the whole pod with the reason in an annotation.
    Refuse(Value, Refusal),
    /// It stays as it is.
    Skip(SkipReason),
}

/// Decides what becomes of a pod. No IO, no clock, no chance: the same pod and context give the same
/// decision, and a pod that comes out of it goes through unchanged the next time.
pub fn inject(pod: &ReviewedPod, context: &Context<'_>) -> Decision {
    let earlier = EarlierPass::find(pod);
    let asked = Asked {
        namespace: context.namespace,
        selected: context.policy.is_some(),
    };
    match Eligibility::of(pod, asked, earlier.as_ref()) {
        Eligibility::Skip(reason) => Decision::Skip(reason),
        Eligibility::Refuse(refusal) => {
            let mut patched = pod.object().clone();
            patched["metadata"]["annotations"][REFUSED_ANNOTATION] = json!(refusal.as_str());
            Decision::Refuse(patched, refusal)
        }
        Eligibility::Inject => Decision::Inject(patched(pod, context, earlier.as_ref())),
    }
}

/// The pod with everything in it. Every index below stands on [`ReviewedPod::read`]: what it has typed
/// is an object or a list here, or is not there.
fn patched(pod: &ReviewedPod, context: &Context<'_>, earlier: Option<&EarlierPass>) -> Value {
    // A bootstrap under another key comes with a pod that was copied from a running one: the hooks that
    // it took over still count, the rest is stale.
    let kept = earlier
        .and_then(|earlier| earlier.bootstrap.as_ref())
        .filter(|bootstrap| bootstrap.key == context.key.id);
    let mut bootstrap = kept.cloned().unwrap_or_else(|| new_bootstrap(context));
    let grace = Grace::of(pod, &bootstrap.settings);
    bootstrap.grace_seconds = grace.raised;
    bootstrap.original_grace_seconds = grace.original;
    bootstrap.containers.clear();

    let mut patched = pod.object().clone();
    let mut unheld = Vec::new();
    for (index, container) in pod.spec().containers.iter().enumerate() {
        let written = &mut patched["spec"]["containers"][index];
        let (known, held) = take_over(pod, container, earlier, grace, &bootstrap.token, written);
        if !held {
            unheld.push(container.name.as_str());
        }
        bootstrap.containers.push(known);
    }

    let spec = &mut patched["spec"];
    spec["terminationGracePeriodSeconds"] = json!(grace.raised);
    put_containers(spec, pod, context, &bootstrap, kept.is_some());

    let metadata = &mut patched["metadata"];
    metadata["labels"][INJECTED_LABEL] = json!("true");
    let annotations = &mut metadata["annotations"];
    annotations[ORIGINAL_GRACE_ANNOTATION] = json!(grace.original.to_string());
    annotations[KEY_ANNOTATION] = json!(bootstrap.key);
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(REFUSED_ANNOTATION);
        annotations.remove(UNHELD_ANNOTATION);
        if !unheld.is_empty() {
            annotations.insert(UNHELD_ANNOTATION.to_owned(), json!(unheld.join(",")));
        }
    }
    patched
}

fn new_bootstrap(context: &Context<'_>) -> Bootstrap {
    let (settings, ports) = match &context.policy {
        Some(policy) => (policy.settings.clone(), policy.ports.clone()),
        None => (Settings::without_policy(), Ports::default()),
    };
    Bootstrap {
        settings,
        grace_seconds: 0,
        original_grace_seconds: 0,
        token: context.token.clone(),
        key: context.key.id.clone(),
        public_key: context.key.base64.clone(),
        containers: Vec::new(),
        exclude_ports: ports.exclude,
        proxy_protocol_ports: ports.proxy_protocol,
        capture: Capture::default(),
    }
}

/// Gives one of the app's containers our hook and its probes their grace. Answers what the sidecar
/// must know of it, and whether a drain can hold it.
fn take_over(
    pod: &ReviewedPod,
    container: &Container,
    earlier: Option<&EarlierPass>,
    grace: Grace,
    token: &str,
    written: &mut Value,
) -> (AppContainer, bool) {
    let at_start = pod.annotation(OWN_HOOK_ANNOTATION) == Some("start");
    let pre_stop = hooks::pre_stop(container, at_start);
    let held = pre_stop != PreStop::Foreign;
    let own_hook = match pre_stop {
        PreStop::Own(own) => Some(own),
        PreStop::Ours => earlier
            .and_then(|earlier| earlier.own_hook(&container.name))
            .cloned(),
        PreStop::Absent | PreStop::Foreign => None,
    };
    if held {
        written["lifecycle"]["preStop"] = hooks::call(&container.name, token);
    }
    let restart = probes::restart_grace(container, grace.original, grace.raised);
    for probe in &restart.missing {
        written[probe.field]["terminationGracePeriodSeconds"] = json!(probe.seconds);
    }
    let known = AppContainer {
        name: container.name.clone(),
        ports: tcp_ports(container),
        probes: probes::connecting(container),
        restart_grace_seconds: restart.shortest_seconds,
        own_hook,
    };
    (known, held)
}

fn tcp_ports(container: &Container) -> Vec<u16> {
    let ports = container.ports.as_deref().unwrap_or_default().iter();
    ports
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(|port| u16::try_from(port.container_port).ok())
        .collect()
}

/// Puts our containers in front of all init containers, and the volume beside the others. `is_kept`:
/// the bootstrap is that of an earlier pass, whose containers stay as they are.
fn put_containers(
    spec: &mut Value,
    pod: &ReviewedPod,
    context: &Context<'_>,
    bootstrap: &Bootstrap,
    is_kept: bool,
) {
    let text = serde_json::to_string(bootstrap)
        .expect("a bootstrap is made of strings, numbers and lists");
    let mut redirect = None;
    let mut sidecar = None;
    let mut others = Vec::new();
    for container in spec["initContainers"]
        .take()
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        match container["name"].as_str() {
            Some(REDIRECT_CONTAINER) => redirect = Some(container.take()),
            Some(SIDECAR_CONTAINER) => sidecar = Some(container.take()),
            _ => others.push(container.take()),
        }
    }
    if is_kept {
        for container in [&mut redirect, &mut sidecar].into_iter().flatten() {
            containers::renew_bootstrap(container, &text);
        }
    } else {
        let config = context.sidecar;
        let hook = hooks::call(SIDECAR_CONTAINER, &bootstrap.token);
        sidecar = Some(containers::sidecar(config, pod, &text, &hook));
        redirect = (config.redirect && context.net_admin)
            .then(|| containers::redirect(config, pod, &text));
    }
    let all = redirect.into_iter().chain(sidecar).chain(others);
    spec["initContainers"] = all.collect();

    let volume = containers::no_token_volume();
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        if !volumes.iter().any(|other| other["name"] == volume["name"]) {
            volumes.push(volume);
        }
    } else {
        spec["volumes"] = json!([volume]);
    }
}

#[cfg(test)]
mod tests;
