//! Holds kubelet's hook calls, and carries out the preStop hooks that the app brought along.
//!
//! Several calls for one container are held as one: kubelet calls again after its own restart. A
//! caller that vanished changes nothing. When the drain machine releases a container, what is left
//! of its own hook runs first: the app was promised it before SIGTERM, with Ebb or without.

mod app_hook;
mod doubt;
mod origin;

pub(crate) use doubt::{Doubts, Settled, Word};
pub(crate) use origin::{Origin, Prober};

use crate::drain::{Caller, Release};
use ebb_api::bootstrap::{AppContainer, OwnHook};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How long an app's own httpGet hook may take at least, even where the drain used all of its time:
/// the app was promised the call, and the grace has 5 s more than the drain and the shutdown.
const APP_HOOK_AT_LEAST: Duration = Duration::from_secs(2);

/// A hook call that came in.
#[derive(Debug)]
pub(crate) struct Call {
    /// Whose hook it is.
    pub(crate) caller: Caller,
    /// Where it comes from.
    pub(crate) from: IpAddr,
    pub(crate) origin: Origin,
    /// The address that it reached the pod by.
    pub(crate) pod_address: IpAddr,
    /// Where the answer goes, when it may be given.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The answer to a hook call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Kubelet may end the container.
    Released,
    /// It was not kubelet's, and nothing has changed.
    Refused,
}

/// The hook calls that are being held, and the hooks that the app brought along.
#[derive(Debug)]
pub(crate) struct HeldHooks {
    app_hooks: BTreeMap<String, OwnHook>,
    held: BTreeMap<Caller, Held>,
    /// Hooks of the app that are being carried out, and the answers that wait for them.
    closing: JoinSet<()>,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    pod_address: IpAddr,
    waiting: Vec<oneshot::Sender<Answer>>,
    /// A hook of the app that was due at the start of the drain.
    started: JoinSet<()>,
}

impl HeldHooks {
    pub(crate) fn new(containers: &[AppContainer]) -> HeldHooks {
        let app_hook = |container: &AppContainer| {
            let hook = container.own_hook.clone()?;
            Some((container.name.clone(), hook))
        };
        HeldHooks {
            app_hooks: containers.iter().filter_map(app_hook).collect(),
            held: BTreeMap::new(),
            closing: JoinSet::new(),
        }
    }

    /// Takes a call in; `answer` fires when it may be answered. `pod_address` is the one that
    /// kubelet reached the pod by.
    pub(crate) fn call(
        &mut self,
        caller: Caller,
        pod_address: IpAddr,
        answer: oneshot::Sender<Answer>,
        now: Instant,
    ) {
        let app_hook = app_hook(&self.app_hooks, &caller);
        let held = self.held.entry(caller).or_insert_with(|| {
            let mut started = JoinSet::new();
            if let Some(hook @ OwnHook::HttpGet { at_start: true, .. }) = app_hook {
                started.spawn(app_hook::carry_out(hook.clone(), pod_address, now));
            }
            Held {
                since: now,
                pod_address,
                waiting: Vec::new(),
                started,
            }
        });
        // Callers that hung up are not kept until the drain ends.
        held.waiting.retain(|answer| !answer.is_closed());
        held.waiting.push(answer);
    }

    /// Answers every call that the machine releases, at the latest at `limit`, or 2 s from now
    /// where a hook of the app is still to be called.
    pub(crate) fn release(&mut self, release: Release, limit: Instant) {
        while self.closing.try_join_next().is_some() {}
        let released: Vec<Caller> = match release {
            Release::Hold => return,
            Release::Own => vec![Caller::Own],
            Release::All => self.held.keys().cloned().collect(),
        };
        for caller in released {
            let Some(held) = self.held.remove(&caller) else {
                continue;
            };
            match app_hook(&self.app_hooks, &caller).cloned() {
                Some(hook) => {
                    self.closing.spawn(close(caller, held, hook, limit));
                }
                // The usual case, and it is answered within this very turn.
                None => answer(&caller, held.waiting),
            }
        }
    }
}

fn app_hook<'a>(app_hooks: &'a BTreeMap<String, OwnHook>, caller: &Caller) -> Option<&'a OwnHook> {
    match caller {
        Caller::Own => None,
        Caller::App(name) => app_hooks.get(name),
    }
}

/// Runs what is left of the app's own hook, then answers.
async fn close(caller: Caller, mut held: Held, hook: OwnHook, limit: Instant) {
    let limit = match hook {
        OwnHook::HttpGet {
            at_start: false, ..
        } => limit.max(Instant::now() + APP_HOOK_AT_LEAST),
        // These had their time while the drain went on.
        OwnHook::HttpGet { at_start: true, .. } | OwnHook::Sleep { .. } => limit,
    };
    let rest = async {
        while held.started.join_next().await.is_some() {}
        if !matches!(hook, OwnHook::HttpGet { at_start: true, .. }) {
            app_hook::carry_out(hook, held.pod_address, held.since).await;
        }
    };
    if tokio::time::timeout_at(limit.into(), rest).await.is_err() {
        tracing::warn!(hook = %caller, "no time left for the app's own preStop hook");
    }
    answer(&caller, held.waiting);
}

fn answer(caller: &Caller, waiting: Vec<oneshot::Sender<Answer>>) {
    tracing::info!(hook = %caller, callers = waiting.len(), "hook released");
    for answer in waiting {
        // Kubelet may have hung up; it has its reasons.
        let _ = answer.send(Answer::Released);
    }
}
