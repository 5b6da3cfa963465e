//! A DrainPolicy: defaults applied, and known to be matchable.

use ebb_api::policy::{CaptureSettings, DrainPolicy};
use ebb_api::selector::Selector;
use ebb_api::settings::Settings;
use ebb_api::status::DrainPolicyStatus;
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use std::collections::BTreeMap;

/// A valid policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// When it was made: the oldest policy that selects a pod is the one in force.
    pub created: Timestamp,
    /// Which pods it means.
    pub selector: Selector,
    /// Its values with every default applied.
    pub settings: Settings,
    /// What is said of its numbers that are out of their range, and so don't count.
    pub corrected: Vec<String>,
    /// Whether it names the least length of the lame-duck phase, be it the default.
    pub names_min_seconds: bool,
    /// How connections are to reach the sidecars of its pods.
    pub capture: CaptureSettings,
    /// The status as last seen: its totals and records go on from there.
    pub status: DrainPolicyStatus,
}

/// A policy that selects nothing, because it cannot be read or its selector cannot be matched. Only
/// an API server without Ebb's rules lets one through.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidPolicy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// What is wrong, as a sentence.
    pub why: String,
    /// The status as last seen, as far as it can be read.
    pub status: DrainPolicyStatus,
}

impl PolicyView {
    /// Narrows a policy, of which perhaps only the metadata could be read.
    ///
    /// # Errors
    ///
    /// Fails if it could not be read or its selector cannot be matched.
    pub fn read(policy: DeserializeGuard<DrainPolicy>) -> Result<PolicyView, Box<InvalidPolicy>> {
        match policy.0 {
            Ok(policy) => PolicyView::of(policy),
            Err(error) => Err(Box::new(InvalidPolicy {
                namespace: error.metadata.namespace.unwrap_or_default(),
                name: error.metadata.name.unwrap_or_default(),
                uid: error.metadata.uid.unwrap_or_default(),
                generation: error.metadata.generation.unwrap_or_default(),
                why: format!("it cannot be read: {}", error.error),
                status: DrainPolicyStatus::default(),
            })),
        }
    }

    /// Narrows a policy to its view.
    ///
    /// # Errors
    ///
    /// Fails if its selector cannot be matched.
    pub fn of(policy: DrainPolicy) -> Result<PolicyView, Box<InvalidPolicy>> {
        let metadata = policy.metadata;
        let name = metadata.name.unwrap_or_default();
        let status = policy.status.unwrap_or_default();
        let view = PolicyView {
            namespace: metadata.namespace.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata
                .creation_timestamp
                .map_or(Timestamp::MAX, |time| time.0),
            settings: policy.spec.resolve(&name),
            corrected: policy.spec.corrected(),
            names_min_seconds: policy.spec.names_min_seconds(),
            capture: policy.spec.resolve_capture(),
            selector: policy.spec.selector,
            name,
            status,
        };
        // Whether a selector can be matched does not depend on the labels.
        match view.selector.matches(&BTreeMap::new()) {
            Ok(_) => Ok(view),
            Err(error) => Err(Box::new(InvalidPolicy {
                namespace: view.namespace,
                name: view.name,
                uid: view.uid,
                generation: view.generation,
                why: error.to_string(),
                status: view.status,
            })),
        }
    }

    /// Whether two views of a policy differ in their status at most.
    pub fn says_the_same_as(&self, other: &PolicyView) -> bool {
        let PolicyView {
            namespace,
            name,
            uid,
            generation,
            created,
            selector,
            settings,
            corrected,
            names_min_seconds,
            capture,
            status: _,
        } = self;
        *namespace == other.namespace
            && *name == other.name
            && *uid == other.uid
            && *generation == other.generation
            && *created == other.created
            && *selector == other.selector
            && *corrected == other.corrected
            && *settings == other.settings
            && *names_min_seconds == other.names_min_seconds
            && *capture == other.capture
    }

    /// Whether a pod with these labels is meant.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        #[cfg(test)]
        COMPARISONS.set(COMPARISONS.get() + 1);
        // A view's selector was matched once when the view was made, so it never fails.
        self.selector.matches(labels).unwrap_or(false)
    }
}

#[cfg(test)]
thread_local! {
    static COMPARISONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The number of times that labels are compared with a policy's selector meanwhile.
#[cfg(test)]
pub(crate) fn count_comparisons(work: impl FnOnce()) -> usize {
    let before = COMPARISONS.get();
    work();
    COMPARISONS.get() - before
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A selector that cannot be matched makes an invalid policy with a sentence, not one that
    /// guesses.
    #[test]
    fn an_unknown_operator_makes_the_policy_invalid() {
        let object = json!({
            "apiVersion": "ebb.dev/v1alpha1",
            "kind": "DrainPolicy",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "Foo"}]}},
        });
        let invalid = PolicyView::of(serde_json::from_value(object).unwrap()).unwrap_err();
        assert!(invalid.why.contains("\"Foo\""), "{}", invalid.why);
    }
}
