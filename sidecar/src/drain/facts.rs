//! What is known from outside: the pod, the settings, who called, what the controller says.

use super::clock::{self, Grace};
use super::state::{Leaving, Stage};
use super::trigger::{Limit, Subject, rules};
use crate::census::Snapshot;
use crate::stance::Pace;
use ebb_api::bootstrap::{Bootstrap, OwnHook};
use ebb_api::connections::AtTimeout;
use ebb_api::desired::{Desired, Endpoints, Leave, Services};
use ebb_api::settings::Settings;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How late a sign that the pod really goes may be, before its drain is called off.
const HEALING_MARGIN: Duration = Duration::from_secs(10);

/// What the goodbyes that come last take until they are through: a WebSocket or HTTP/2 connection
/// that never pauses waits a second for it, and the other end has 2 s to answer.
const LAST_GOODBYE: Duration = Duration::from_secs(5);

/// What never changes while the process lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The pod's grace period.
    pub grace: Duration,
    /// The same before the webhook raised it, in seconds.
    pub original_grace_seconds: u32,
    /// The longest `sleep` that the app's containers brought along as their own preStop hook.
    pub own_sleep: Duration,
    /// The app's containers, with the grace that kubelet gives each when it restarts it alone.
    pub containers: BTreeMap<String, Duration>,
}

/// Which preStop hooks kubelet has called since the pod was last in service, and when first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) own: Option<Instant>,
    pub(crate) apps: BTreeMap<String, Instant>,
}

/// The controller's latest word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) at: Instant,
    pub(crate) leave: Option<Leave>,
    /// Since when it has said that the endpoints are gone.
    pub(crate) gone: Option<Instant>,
    /// Since when it has said that they are not even serving.
    pub(crate) not_serving: Option<Instant>,
    /// How the clients of the pod's Services fare.
    pub(crate) services: Services,
    /// When it last said that another endpoint is ready after there was none.
    pub(crate) relieved: Option<Instant>,
    /// When it shortened a grace that it had given before.
    pub(crate) shortened: Option<Instant>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) pod: Pod,
    pub(crate) settings: Settings,
    pub(crate) hooks: Hooks,
    pub(crate) word: Option<Word>,
    pub(crate) sigterm: Option<Instant>,
}

// === impl Pod ===

impl Pod {
    /// A pod of which nothing is known: Kubernetes' default grace, and no containers.
    pub fn unknown() -> Pod {
        let grace_seconds = ebb_api::settings::DEFAULT_GRACE_SECONDS;
        Pod {
            grace: Duration::from_secs(grace_seconds.into()),
            original_grace_seconds: grace_seconds,
            own_sleep: Duration::ZERO,
            containers: BTreeMap::new(),
        }
    }

    /// The pod that the webhook described.
    pub fn of(bootstrap: &Bootstrap) -> Pod {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let own_sleep = bootstrap
            .containers
            .iter()
            .filter_map(|container| match container.own_hook {
                Some(OwnHook::Sleep { seconds }) => Some(seconds),
                _ => None,
            })
            .max();
        Pod {
            grace: seconds(bootstrap.grace_seconds),
            original_grace_seconds: bootstrap.original_grace_seconds,
            own_sleep: seconds(own_sleep.unwrap_or(0)),
            containers: bootstrap
                .containers
                .iter()
                .map(|container| {
                    let grace = container.restart_grace_seconds;
                    (
                        container.name.clone(),
                        seconds(grace.unwrap_or(bootstrap.grace_seconds)),
                    )
                })
                .collect(),
        }
    }
}

// === impl Hooks ===

impl Hooks {
    pub(crate) fn first(&self) -> Option<Instant> {
        self.own
            .into_iter()
            .chain(self.apps.values().copied())
            .min()
    }

    pub(crate) fn any(&self) -> bool {
        self.own.is_some() || !self.apps.is_empty()
    }
}

// === impl Word ===

impl Word {
    /// The word that follows `before` when `desired` is accepted.
    pub(crate) fn after(before: Option<&Word>, desired: &Desired, now: Instant) -> Word {
        let since = |said: bool, earlier: Option<Instant>| said.then(|| earlier.unwrap_or(now));
        let grace_of = |leave: Option<Leave>| leave.and_then(|leave| leave.grace_seconds);
        let shortened = match (
            before.and_then(|word| grace_of(word.leave)),
            grace_of(desired.leave),
        ) {
            (Some(earlier), Some(later)) if later < earlier => Some(now),
            (Some(_), Some(_)) => before.and_then(|word| word.shortened),
            _ => None,
        };
        let alone = before.is_some_and(|word| word.services.alone_in.is_some());
        let relieved = match &desired.services.alone_in {
            None if alone => Some(now),
            _ => before.and_then(|word| word.relieved),
        };
        Word {
            at: now,
            leave: desired.leave,
            services: desired.services.clone(),
            relieved: relieved.filter(|_| desired.leave.is_some()),
            gone: since(
                desired.endpoints >= Endpoints::Gone,
                before.and_then(|word| word.gone),
            ),
            not_serving: since(
                desired.endpoints >= Endpoints::NotServing,
                before.and_then(|word| word.not_serving),
            ),
            shortened,
        }
    }
}

// === impl Facts ===

impl Facts {
    /// The controller's word, where it leads the drain: it says that the pod leaves. It speaks of
    /// endpoints only then; and one that spoke a minute ago may be gone with its node.
    pub(crate) fn guidance(&self) -> Option<&Word> {
        self.word.as_ref().filter(|word| word.leave.is_some())
    }

    /// From when on new connections are led to others: the endpoints are gone, whoever goes by DNS
    /// has heard of that, and another one is ready. `None` if the controller has not said so.
    pub(crate) fn gone(&self, leaving: &Leaving) -> Option<Instant> {
        let word = self.guidance()?;
        let gone = word.gone?;
        let by_dns = self.dns_until(leaving).unwrap_or(gone);
        Some(word.relieved.map_or(by_dns, |at| at.max(by_dns)))
    }

    /// From when on the greatest length of the lame-duck phase counts: a pod that was alone was
    /// none whose clients could have left.
    pub(crate) fn lame_duck_from(&self, leaving: &Leaving) -> Instant {
        let relieved = self.guidance().and_then(|word| word.relieved);
        relieved.map_or(leaving.signal, |at| at.max(leaving.signal))
    }

    /// What the controller says of leaving; `None` if it sees no reason, or never spoke.
    pub(crate) fn leave(&self) -> Option<Leave> {
        self.word.as_ref().and_then(|word| word.leave)
    }

    fn shutdown(&self) -> Duration {
        let seconds = self
            .settings
            .shutdown_seconds_or(self.pod.original_grace_seconds);
        Duration::from_secs(seconds.into())
    }

    /// Until when a drain that was released at `released` waits for a sign that the pod really
    /// goes.
    ///
    /// The sidecar's SIGTERM comes when the app's containers have ended. Where they were all told
    /// to go, they may take what is left of the grace, and not only their shutdown time.
    pub(crate) fn heals_at(&self, released: Instant) -> Instant {
        let after_shutdown = released + self.shutdown() + HEALING_MARGIN;
        match (self.hooks.own, self.grace()) {
            (Some(_), Some(grace)) if !self.hooks.apps.is_empty() => {
                after_shutdown.max(grace.from + grace.length + HEALING_MARGIN)
            }
            _ => after_shutdown,
        }
    }

    /// The last moment of this drain.
    pub(crate) fn deadline(&self, leaving: &Leaving) -> Instant {
        let rules = rules(leaving.trigger);
        let policy = Duration::from_secs(self.settings.timeout_seconds.into());
        let timeout = match rules.limit {
            Limit::Policy | Limit::SinceHook(_) => policy,
            Limit::Hold(longest) => policy.min(longest),
        };
        let grace = match rules.subject {
            Subject::Pod => self.grace(),
            Subject::Container => self.restart_grace(),
        };
        let deadline = clock::deadline(leaving.signal, timeout, self.shutdown(), grace);
        let deadline = match self.refusal_ends(leaving) {
            Some(ends) => deadline.min(ends),
            None => deadline,
        };
        match rules.limit {
            Limit::Policy | Limit::Hold(_) => deadline,
            Limit::SinceHook(longest) => {
                deadline.min(self.hooks.first().unwrap_or(leaving.signal) + longest)
            }
        }
    }

    /// The shortest grace of the containers that kubelet restarts.
    fn restart_grace(&self) -> Option<Grace> {
        let shortest = |name: &String| self.pod.containers.get(name);
        Some(Grace {
            from: self.hooks.first()?,
            length: *self.hooks.apps.keys().filter_map(shortest).min()?,
        })
    }

    /// The pod's.
    fn grace(&self) -> Option<Grace> {
        let first = self.hooks.first()?;
        let told = self.leave().and_then(|leave| leave.grace_seconds);
        let length = told.map_or(self.pod.grace, |told| Duration::from_secs(told.into()));
        // Kubelet ignores a second, shorter delete; Ebb honors it from when it is reported.
        let shortened = self.word.as_ref().and_then(|word| word.shortened);
        Some(Grace {
            from: shortened.map_or(first, |at| at.max(first)),
            length,
        })
    }

    /// The least length of the lame-duck phase, from the signal on, and the greatest, from
    /// [`Facts::lame_duck_from`] on. A `sleep` that the app brought along is a promise: no greatest
    /// length shortens it.
    pub(crate) fn lame_duck(&self, leaving: &Leaving) -> (Duration, Duration) {
        let settings = &self.settings.deregistration;
        let least = Duration::from_secs(settings.min_seconds.into()).max(self.pod.own_sleep);
        let most = Duration::from_secs(settings.max_seconds.into()).max(least);
        let by_dns = self.dns_settled(leaving).map_or(Duration::ZERO, |settled| {
            settled.saturating_duration_since(self.lame_duck_from(leaving))
        });
        (least, most.max(by_dns))
    }

    /// How long Draining waits at most for idle clients of HTTP that may be expected back, to give
    /// them their goodbye with an answer instead of a closed connection. Not while others are
    /// refused who can go nowhere else.
    pub(crate) fn idle_wait(&self, leaving: &Leaving) -> Duration {
        match self.refuses_alone(leaving) {
            true => Duration::ZERO,
            false => Duration::from_secs(self.settings.deregistration.idle_seconds.into()),
        }
    }

    /// The time over which goodbyes are spread: what the policy asks for, as far as the last of
    /// them is through at the deadline. `None` where they are said at once: the restart of a
    /// container has no time for more, nor has a pod that refuses while it is alone.
    pub(crate) fn pace(&self, leaving: &Leaving) -> Option<Pace> {
        let in_haste = leaving.stage == Stage::Restarting || self.refuses_alone(leaving);
        let from = leaving.parting.filter(|_| !in_haste)?;
        let asked = Duration::from_secs(self.settings.connections.pace_seconds.into());
        let left = self.deadline(leaving).saturating_duration_since(from);
        let length = asked.min(left.saturating_sub(LAST_GOODBYE));
        (length > Duration::ZERO).then_some(Pace { from, length })
    }

    /// How much is in flight that the app's own shutdown does not take care of.
    pub(crate) fn to_cut(&self, snapshot: &Snapshot) -> u64 {
        snapshot.in_flight_in_all() - self.to_hand_over(snapshot)
    }

    /// How many connections in flight the deadline leaves to the app's own shutdown.
    pub(crate) fn to_hand_over(&self, snapshot: &Snapshot) -> u64 {
        let opaque = snapshot
            .in_flight
            .iter()
            .filter(|(protocol, _)| protocol.is_opaque());
        match self.settings.connections.at_timeout {
            AtTimeout::Handover => opaque.map(|(_, count)| count).sum(),
            AtTimeout::Close | AtTimeout::Reset => 0,
        }
    }

    pub(crate) fn quiet(&self) -> Duration {
        Duration::from_secs(self.settings.deregistration.quiet_seconds.into())
    }
}
