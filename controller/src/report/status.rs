//! The status of one policy, computed anew from all that is known: pure.

use super::condition::{condition, whole_seconds};
use super::drains::{DrainLog, PodDrain};
use super::history::History;
use ebb_api::status::{Active, DrainPolicyStatus, InForce, RECORDS};
use ebb_model::plan::protection::NamespaceContext;
use ebb_model::plan::reach::reach;
use ebb_model::plan::select::in_force;
use ebb_model::text::conditions;
use ebb_model::text::sentence;
use ebb_model::views::Contact;
use ebb_model::views::{InvalidPolicy, PolicyView};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

/// One moment on both clocks: the one for what is written down, the other for what is measured.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For people.
    pub wall: Timestamp,
    /// For durations.
    pub instant: Instant,
}

impl Now {
    /// This moment.
    pub fn read() -> Now {
        Now {
            wall: Timestamp::now(),
            instant: Instant::now(),
        }
    }
}

/// The status of a valid policy. `before` is the status as it stands.
pub fn status(
    context: NamespaceContext<'_>,
    policy: &PolicyView,
    drains: &DrainLog,
    history: &History,
    before: &DrainPolicyStatus,
    now: Now,
) -> DrainPolicyStatus {
    let namespace = context.namespace;
    let reach = reach(context, policy, |pod| {
        drains.pod(pod).map_or(&Contact::None, |it| &it.contact)
    });
    let findings = [
        conditions::ready(policy, &reach),
        conditions::protected(policy, &reach),
    ];
    let mut leaving: Vec<_> = namespace
        .pods_of(&policy.name)
        .filter(|pod| {
            let policies = namespace.policies_of(&pod.name);
            in_force(policies).is_some_and(|it| it.name == policy.name)
        })
        .filter_map(|pod| {
            let pod = drains.pod(&pod.uid)?;
            let (since, trigger) = pod.leaving?;
            Some(Active {
                pod: pod.pod.name.clone(),
                progress: progress(pod, now),
                since: Time(whole_seconds(since)),
                trigger,
            })
        })
        .collect();
    leaving.sort_by(|a, b| (a.since.0, &a.pod).cmp(&(b.since.0, &b.pod)));
    leaving.truncate(RECORDS);
    DrainPolicyStatus {
        active: leaving,
        conditions: findings
            .map(|it| condition(it, &before.conditions, policy.generation, now.wall))
            .into(),
        in_force: Some(InForce {
            enabled: policy.settings.enabled,
            mode: context.mode(policy).to_string(),
            timeout_seconds: i32::try_from(policy.settings.timeout_seconds).unwrap_or(i32::MAX),
        }),
        observed_generation: Some(policy.generation),
        recent: history.recent.clone(),
        targets: reach.targets,
        totals: history.totals.clone(),
    }
}

/// The status of an invalid policy, which selects nothing.
pub fn invalid(
    policy: &InvalidPolicy,
    history: &History,
    before: &DrainPolicyStatus,
    now: Now,
) -> DrainPolicyStatus {
    let findings = [
        conditions::invalid(&policy.why),
        conditions::stalled(&policy.why),
    ];
    DrainPolicyStatus {
        conditions: findings
            .map(|it| condition(it, &before.conditions, policy.generation, now.wall))
            .into(),
        observed_generation: Some(policy.generation),
        recent: history.recent.clone(),
        totals: history.totals.clone(),
        ..DrainPolicyStatus::default()
    }
}

/// Whether two statuses differ in more than how far the drains have come.
pub fn differs_beyond_progress(before: &DrainPolicyStatus, now: &DrainPolicyStatus) -> bool {
    let without_progress = |status: &DrainPolicyStatus| {
        let mut status = status.clone();
        for active in &mut status.active {
            active.progress.clear();
        }
        status
    };
    without_progress(before) != without_progress(now)
}

fn progress(pod: &PodDrain, now: Now) -> String {
    match (&pod.report, &pod.contact) {
        (Some((report, heard)), _) => sentence::progress(report, now.instant - *heard),
        (None, Contact::Unreachable(_) | Contact::KeyLost) => {
            "Leaving: its sidecar cannot be told anything and drains by what it was made with"
                .to_owned()
        }
        (None, Contact::None | Contact::Reached { .. }) => {
            "Leaving: its sidecar has not said anything yet".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
