//! The record of each policy: its past, and its status as it stands.

use super::drains::{Before, DrainLog, Ending, PodName};
use super::events::{self, Note, PolicyName};
use super::history::History;
use super::schedule::PolicyKey;
use super::status::{self, Now};
use crate::cluster::SharedCluster;
use ebb_api::phase::Outcome;
use ebb_api::status::{DrainPolicyStatus, Targets};
use ebb_model::plan::protection::NamespaceContext;
use ebb_model::text::sentence;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long pods that drain are gathered into one Event of their policy.
const WINDOW: Duration = Duration::from_secs(10);

/// The records of all policies that exist.
#[derive(Debug, Default)]
pub struct PolicyRecords {
    records: HashMap<PolicyKey, PolicyRecord>,
}

/// One policy's past, and its status as it stands.
#[derive(Debug)]
pub struct PolicyRecord {
    /// The policy.
    pub policy: PolicyName,
    /// The status as it stands.
    pub written: DrainPolicyStatus,
    /// Its pods as they were counted last, whether that has been written or not.
    pub targets: Targets,
    history: History,
    /// The status when this process saw the policy first: what an earlier process wrote.
    found: DrainPolicyStatus,
    window: Option<Window>,
}

/// Pods that drained and are in no Event of the policy yet.
#[derive(Debug)]
struct Window {
    until: Instant,
    pods: u64,
    finished: u64,
    /// Some of the pods were only observed.
    observed: bool,
    last: PodName,
}

// === impl PolicyRecords ===

impl PolicyRecords {
    /// The record of the policy; `None` if there is no such policy. It begins with the first call,
    /// from what the policy's status says then.
    pub fn open(&mut self, cluster: &SharedCluster, key: &PolicyKey) -> Option<&mut PolicyRecord> {
        if !self.records.contains_key(key) {
            let record = PolicyRecord::begin(cluster, key)?;
            self.records.insert(key.clone(), record);
        }
        self.records.get_mut(key)
    }

    /// The record of the policy, if it has begun.
    pub fn get(&self, key: &PolicyKey) -> Option<&PolicyRecord> {
        self.records.get(key)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &PolicyKey) -> Option<&mut PolicyRecord> {
        self.records.get_mut(key)
    }

    /// The policies that have a record.
    pub fn keys(&self) -> impl Iterator<Item = &PolicyKey> {
        self.records.keys()
    }

    /// The number of pods that a policy protects, and of those that it does not.
    pub fn protected_and_not(&self) -> (u64, u64) {
        let counts = self.records.values().map(|record| &record.targets);
        counts.fold((0, 0), |(protected, unprotected), targets| {
            (
                protected + u64::from(targets.protected),
                unprotected + u64::from(targets.unprotected),
            )
        })
    }

    /// Drops the records of the namespace's policies that are gone, or were made anew under the
    /// same name, and returns their keys. `known` are the names and UIDs of the policies that
    /// exist.
    pub fn drop_gone(
        &mut self,
        namespace: &str,
        known: &BTreeMap<String, String>,
    ) -> Vec<PolicyKey> {
        let gone = self.records.iter().filter(|((of, name), record)| {
            of == namespace && known.get(name) != Some(&record.policy.uid)
        });
        let gone: Vec<_> = gone.map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.records.remove(key);
        }
        gone
    }

    /// When the first window ends; `None` if none is open.
    pub fn wake(&self) -> Option<Instant> {
        let windows = self
            .records
            .values()
            .filter_map(|record| record.window.as_ref());
        windows.map(|window| window.until).min()
    }

    /// Ends the windows that last until `now` or less. Returns their Events.
    pub fn close_windows(&mut self, now: Instant) -> Vec<Note> {
        let records = self.records.values_mut();
        records
            .filter_map(|record| record.close_window(|window| window.until <= now))
            .collect()
    }

    /// Ends all windows, as the process ends, too. Returns their Events.
    pub fn close_all_windows(&mut self) -> Vec<Note> {
        let records = self.records.values_mut();
        records
            .filter_map(|record| record.close_window(|_| true))
            .collect()
    }
}

// === impl PolicyRecord ===

impl PolicyRecord {
    fn begin(cluster: &SharedCluster, key: &PolicyKey) -> Option<PolicyRecord> {
        let (namespace, name) = key;
        let (uid, found) = cluster.read(|cluster| {
            let namespace = cluster.namespace(namespace)?;
            match (namespace.policy(name), namespace.invalid_policy(name)) {
                (Some(policy), _) => Some((policy.uid.clone(), policy.status.clone())),
                (None, Some(policy)) => Some((policy.uid.clone(), policy.status.clone())),
                (None, None) => None,
            }
        })?;
        Some(PolicyRecord {
            policy: PolicyName {
                namespace: namespace.clone(),
                name: name.clone(),
                uid,
            },
            history: History::of(&found),
            written: found.clone(),
            targets: found.targets.clone(),
            found,
            window: None,
        })
    }

    /// What an earlier process wrote down about a pod of that name.
    pub fn before(&self, pod: &str) -> Before {
        let active = self.found.active.iter().find(|active| active.pod == pod);
        Before {
            since: active.map(|active| active.since.0),
            counted: self.found.recent.iter().any(|recent| recent.pod == pod),
        }
    }

    /// Takes in a drain that has ended.
    pub fn ended(&mut self, ending: &Ending, now: Now) {
        self.history.record(ending, now.wall);
        if ending.outcome == Outcome::Drained {
            let window = self.window.get_or_insert_with(|| Window {
                until: now.instant + WINDOW,
                pods: 0,
                finished: 0,
                observed: false,
                last: ending.pod.clone(),
            });
            window.pods += 1;
            // The number comes from a sidecar.
            window.finished = window.finished.saturating_add(ending.finished);
            window.observed |= ending.observed;
            window.last = ending.pod.clone();
        }
    }

    /// The status as it should be; `None` if the policy is gone. `redirect` is the chart's
    /// `sidecar.redirect`.
    pub fn status(
        &self,
        cluster: &SharedCluster,
        redirect: bool,
        drains: &DrainLog,
        now: Now,
    ) -> Option<DrainPolicyStatus> {
        let (history, before) = (&self.history, &self.written);
        let PolicyName {
            namespace, name, ..
        } = &self.policy;
        cluster.read(|cluster| {
            let namespace = cluster.namespace(namespace)?;
            if let Some(policy) = namespace.policy(name) {
                let context = NamespaceContext {
                    namespace,
                    redirect,
                };
                return Some(status::status(
                    context, policy, drains, history, before, now,
                ));
            }
            let policy = namespace.invalid_policy(name)?;
            Some(status::invalid(policy, history, before, now))
        })
    }

    /// Takes note that this is the status as it stands now. Returns an Event, if that is worth one.
    pub fn take_written(&mut self, status: DrainPolicyStatus) -> Option<Note> {
        let note = newly_unprotected(&self.written, &status)
            .map(|(reason, message)| events::unprotected(&self.policy, reason, message));
        self.written = status;
        note
    }

    fn close_window(&mut self, is_over: impl FnOnce(&Window) -> bool) -> Option<Note> {
        let window = self.window.take_if(|window| is_over(window))?;
        let Window {
            pods,
            finished,
            observed,
            last,
            ..
        } = window;
        let finished = sentence::finished(finished, observed);
        Some(events::drained(&self.policy, pods, &finished, &last))
    }
}

/// Name and UID of all policies of a namespace, valid or not.
pub fn policies_of(cluster: &SharedCluster, namespace: &str) -> BTreeMap<String, String> {
    cluster.read(|cluster| {
        let Some(namespace) = cluster.namespace(namespace) else {
            return BTreeMap::new();
        };
        let valid = namespace.policies().map(|it| (&it.name, &it.uid));
        let invalid = namespace.invalid_policies().map(|it| (&it.name, &it.uid));
        valid
            .chain(invalid)
            .map(|(name, uid)| (name.clone(), uid.clone()))
            .collect()
    })
}

/// The reason and the message of a condition Protected that is false for a reason that it did not
/// have before. That there are no pods yet is no reason to warn.
fn newly_unprotected<'a>(
    before: &DrainPolicyStatus,
    now: &'a DrainPolicyStatus,
) -> Option<(&'a str, &'a str)> {
    let of = |status: &'a DrainPolicyStatus| {
        status
            .conditions
            .iter()
            .find(|it| it.type_ == "Protected" && it.status == "False" && it.reason != "NoTargets")
            .map(|it| (it.reason.as_str(), it.message.as_str()))
    };
    let said = before
        .conditions
        .iter()
        .find(|it| it.type_ == "Protected")
        .map(|it| it.reason.as_str());
    of(now).filter(|(reason, _)| Some(*reason) != said)
}
