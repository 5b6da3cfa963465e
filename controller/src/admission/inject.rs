//! What the webhook makes of a pod: a pure function of the pod and its [`Context`].
//!
//! ```text
//!  initContainers: ebb-hold       one-shot: brings a program, for hooks of the app that are commands
//!                  ebb-redirect   one-shot: writes the redirect rules (if the namespace permits)
//!                  ebb            the sidecar, before all others, so that it outlives them
//!                  …              the pod's own
//!  containers:     each with a preStop hook to the sidecar; its own hook moves into the bootstrap,
//!                  or, if it is a command, behind ours
//!  grace:          raised by what the drain needs; liveness and startup kills keep the old one
//! ```
//!
//! One file for each thing that is put in: `containers` (with their `resources`, which `fit` fits
//! into what the namespace admits), `volume`, `hooks` (with `sleeping` and `hold`), `probes`,
//! `grace`, `named_ports`, `metadata`; `app_containers` does what concerns the app's own
//! containers.
//!
//! A second pass over a pod that has the sidecar adds nothing that is there: see `reinvocation`.
//! Our containers then stay as they are, whatever others have made of them (a mirror's image, a
//! default for resources), and only go to the front again.

mod app_containers;
mod containers;
mod eligibility;
mod fit;
mod grace;
mod hold;
mod hooks;
mod metadata;
mod named_ports;
mod probes;
mod reinvocation;
mod resources;
mod sleeping;
mod volume;

pub use containers::SidecarConfig;
pub use eligibility::{Refusal, SkipReason};
pub use resources::SidecarResources;

use super::pod::ReviewedPod;
use crate::keyring::PublicKey;
use app_containers::TakeOver;
use containers::Parts;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Rules, Wanted};
use ebb_api::names::Inject;
use ebb_api::policy::CaptureSettings;
use ebb_api::settings::Settings;
use ebb_model::views::LimitRangeView;
use eligibility::{Asked, Eligibility};
use grace::Grace;
use named_ports::TakenNames;
use reinvocation::EarlierPass;
use resources::{ContainerResources, Fitted};
use serde_json::{Value, json};

/// What the decision depends on, besides the pod.
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
    /// A fresh random token for the hook calls.
    pub token: String,
    /// The LimitRanges of its namespace.
    pub limit_ranges: Vec<LimitRangeView>,
    /// Our containers.
    pub sidecar: &'a SidecarConfig,
}

// === impl Context ===

impl Context<'_> {
    /// Whether the init step may run in the pod.
    fn rules(&self) -> Rules {
        if self.sidecar.redirect && self.net_admin {
            Rules::Permitted
        } else {
            Rules::Forbidden
        }
    }
}

/// What a policy says about the pods that it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its values with every default applied.
    pub settings: Settings,
    /// How connections are to reach the sidecar.
    pub capture: CaptureSettings,
}

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It gets the sidecar: the whole pod as it is to be, and a sentence about each resource of
    /// which the sidecar asks for something else than was wanted.
    Inject(Value, Vec<String>),
    /// It should get the sidecar and can't: the whole pod with the reason in an annotation, and
    /// where the reason alone says too little, a sentence.
    Refuse(Value, Refusal, Option<String>),
    /// It stays as it is.
    Skip(SkipReason),
}

/// Decides what becomes of a pod. No IO, no clock, no randomness: the same pod and context give the
/// same decision, and a pod that was injected goes through unchanged the next time.
pub fn inject(pod: &ReviewedPod, context: &Context<'_>) -> Decision {
    let earlier = EarlierPass::find(pod);
    let asked = Asked {
        namespace: context.namespace,
        selected: context.policy.is_some(),
    };
    match Eligibility::of(pod, asked, earlier.as_ref()) {
        Eligibility::Skip(reason) => return Decision::Skip(reason),
        Eligibility::Refuse(refusal) => return refuse(pod, refusal, None),
        Eligibility::Inject => {}
    }
    let wanted = &context.sidecar.resources;
    let fitted = ContainerResources::fitted(pod, wanted, &context.limit_ranges);
    match fitted {
        Ok(fitted) => patched(pod, context, earlier.as_ref(), &fitted),
        // A pod that has our containers already keeps them.
        Err(_) if earlier.is_some() => {
            let asked = Fitted {
                resources: ContainerResources::asked(pod, wanted),
                told: Vec::new(),
            };
            patched(pod, context, earlier.as_ref(), &asked)
        }
        Err(why) => refuse(pod, Refusal::LimitRange, Some(why)),
    }
}

fn refuse(pod: &ReviewedPod, refusal: Refusal, why: Option<String>) -> Decision {
    let mut patched = pod.object().clone();
    metadata::mark_refused(&mut patched["metadata"], refusal);
    Decision::Refuse(patched, refusal, why)
}

/// The pod with everything in it. Every index below stands on [`ReviewedPod::read`]: what it has
/// typed is an object or a list here, or is not there.
fn patched(
    pod: &ReviewedPod,
    context: &Context<'_>,
    earlier: Option<&EarlierPass>,
    fitted: &Fitted,
) -> Decision {
    // A bootstrap under another key comes with a pod that was copied from a running one: the hooks
    // that it took over still count, the rest is stale.
    let kept = earlier
        .and_then(|earlier| earlier.bootstrap.as_ref())
        .filter(|bootstrap| bootstrap.key == context.key.id);
    let mut bootstrap = kept
        .cloned()
        .unwrap_or_else(|| new_bootstrap(context, fitted));
    let grace = Grace::of(pod, &bootstrap.settings);
    bootstrap.grace_seconds = grace.raised;
    bootstrap.original_grace_seconds = grace.original;

    let mut patched = pod.object().clone();
    let spec = &mut patched["spec"];
    spec["terminationGracePeriodSeconds"] = json!(grace.raised);
    let app = TakeOver {
        pod,
        earlier,
        grace,
        token: &bootstrap.token,
        hold_limit_seconds: grace.hold_limit_seconds(&bootstrap.settings),
    };
    let app = app.run(&mut spec["containers"]);
    bootstrap.containers = app.known;
    bootstrap.init_containers = containers::others(pod);
    let names = if bootstrap.capture.modes.contains(&Mode::NamedPorts) {
        TakenNames::take(pod, earlier, &bootstrap.exclude_ports, spec)
    } else {
        TakenNames::default()
    };
    bootstrap.capture.ports.clone_from(&names.ports);
    let parts = Parts {
        config: context.sidecar,
        resources: &fitted.resources,
    };
    if kept.is_some() {
        containers::renew(spec, &bootstrap);
    } else {
        containers::put(spec, parts, &bootstrap);
    }
    if app.commands {
        hold::put(spec, parts);
    }
    names.declare(spec);
    volume::put(spec);
    metadata::mark_injected(&mut patched["metadata"], &bootstrap, &app.unheld);
    Decision::Inject(patched, bootstrap.fitted)
}

fn new_bootstrap(context: &Context<'_>, fitted: &Fitted) -> Bootstrap {
    let (settings, capture) = match &context.policy {
        Some(policy) => (policy.settings.clone(), policy.capture.clone()),
        None => (Settings::without_policy(), CaptureSettings::default()),
    };
    Bootstrap {
        settings,
        grace_seconds: 0,
        original_grace_seconds: 0,
        token: context.token.clone(),
        key: context.key.id.clone(),
        public_key: context.key.base64.clone(),
        containers: Vec::new(),
        init_containers: 0,
        exclude_ports: capture.exclude_ports,
        proxy_protocol_ports: capture.proxy_protocol_ports,
        capture: Wanted {
            modes: capture.mode.chain(context.rules()),
            ports: Vec::new(),
        },
        limits: fitted.resources.limits.clone(),
        fitted: fitted.told.clone(),
    }
}

#[cfg(test)]
mod tests;
