//! The writes of statuses: each runs beside the rest of the room, which never waits for the API
//! server.

use super::events::PolicyName;
use super::schedule::{PolicyKey, Schedule};
use crate::api_error::Class;
use crate::lease::Term;
use crate::metrics::Metrics;
use ebb_api::policy::DrainPolicy;
use ebb_api::status::DrainPolicyStatus;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, Resource};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, warn};

/// The name that the API server keeps beside the fields that are ours.
pub const FIELD_MANAGER: &str = "ebb-controller";

/// When statuses are written, and those that are being written.
pub struct Writes {
    /// Whose status is due when.
    pub schedule: Schedule,
    client: Client,
    term: Term,
    metrics: Arc<Metrics>,
    under_way: JoinSet<Write>,
}

/// A write that has ended.
#[derive(Debug)]
pub struct Write {
    policy: PolicyName,
    status: DrainPolicyStatus,
    result: Result<(), kube::Error>,
}

// === impl Writes ===

impl Writes {
    /// Writes by that client, as the leader of that term.
    pub fn new(client: Client, term: Term, metrics: Arc<Metrics>) -> Writes {
        Writes {
            schedule: Schedule::default(),
            client,
            term,
            metrics,
            under_way: JoinSet::new(),
        }
    }

    /// Begins to write a status; not any more when another controller may have begun to.
    pub fn begin(&mut self, policy: PolicyName, status: DrainPolicyStatus, now: Instant) {
        if !self.term.holds() {
            return;
        }
        self.schedule.begin(key_of(&policy), now);
        let client = self.client.clone();
        self.under_way.spawn(async move {
            let result = Box::pin(write(client, &policy, &status)).await;
            Write {
                policy,
                status,
                result,
            }
        });
    }

    /// Waits for the next write to end; `None` if none is under way. Cancel safe.
    pub async fn next(&mut self) -> Option<Write> {
        match self.under_way.join_next().await? {
            Ok(write) => Some(write),
            // Nobody aborts one.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Takes note of a write that has ended. Returns the policy and its status as it stands now;
    /// `None` if the write failed.
    pub fn ended(&mut self, write: Write) -> Option<(PolicyName, DrainPolicyStatus)> {
        let Write {
            policy,
            status,
            result,
        } = write;
        let key = key_of(&policy);
        self.schedule.end(&key);
        let PolicyName {
            namespace, name, ..
        } = &policy;
        let Err(error) = result else {
            self.metrics.status_writes.inc();
            debug!(namespace, name, "status written");
            return Some((policy, status));
        };
        self.metrics.writes_failed.inc();
        match Class::of(&error) {
            // It was deleted, or made anew under the same name; the watch will say so.
            Class::NotFound | Class::Conflict => {
                debug!(namespace, name, %error, "the policy is gone");
            }
            Class::Expired | Class::Transient => {
                warn!(namespace, name, %error, "could not write the status; trying again");
                self.schedule.changed(key, Instant::now());
            }
            Class::Bug => {
                error!(namespace, name, %error, "the API server does not take the status");
            }
        }
        None
    }
}

/// Where the schedule finds a policy.
pub fn key_of(policy: &PolicyName) -> PolicyKey {
    (policy.namespace.clone(), policy.name.clone())
}

/// Puts the status in place, whatever it was: it is all ours.
async fn write(
    client: Client,
    policy: &PolicyName,
    status: &DrainPolicyStatus,
) -> Result<(), kube::Error> {
    let kind = ApiResource::erase::<DrainPolicy>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client, &policy.namespace, &kind);
    let patch = json!({
        "apiVersion": DrainPolicy::api_version(&()),
        "kind": DrainPolicy::kind(&()),
        // Another policy of the same name is not meant.
        "metadata": {"name": policy.name, "uid": policy.uid},
        "status": status,
    });
    let how = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&policy.name, &how, &Patch::Apply(patch))
        .await?;
    Ok(())
}
