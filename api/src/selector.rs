//! Which pods a policy means: Kubernetes' label selector, with bounds and a closed set of
//! operators.
//!
//! The API server does not check the label selectors of custom resources (an operator `Foo`
//! passes), so the rules are ours, and matching answers an error instead of guessing.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A label selector: all of its labels and all of its expressions must hold. An empty one selects
/// every pod of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that a pod must have, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions on a pod's labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub match_expressions: Vec<Requirement>,
}

/// One condition on a pod's labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist']")
        .message("operator must be one of In, NotIn, Exists and DoesNotExist"),
    validation = Rule::new("!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)")
        .message("the operators In and NotIn compare with values: name at least one"),
    validation = Rule::new("!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0")
        .message("the operators Exists and DoesNotExist look at the key alone: leave values out"),
)]
pub struct Requirement {
    /// The label's key.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    #[schemars(length(max = 16))]
    pub operator: String,
    /// What In and NotIn compare with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// Why a selector cannot be matched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// An operator that Kubernetes does not know.
    #[error(
        "the selector's operator {operator:?} for key {key:?} is none of In, NotIn, Exists and DoesNotExist"
    )]
    UnknownOperator {
        /// The key that it stands with.
        key: String,
        /// What was written.
        operator: String,
    },
    /// `In` or `NotIn` with nothing to compare with.
    #[error("the selector's operator {operator} for key {key:?} needs at least one value")]
    MissingValues {
        /// The key that it stands with.
        key: String,
        /// The operator.
        operator: String,
    },
}

impl Selector {
    /// Whether a pod with these labels is meant.
    ///
    /// # Errors
    ///
    /// Fails for an expression that no API server with Ebb's rules accepts; such a policy selects
    /// nothing, and says so.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> Result<bool, SelectorError> {
        let mut all = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        for requirement in &self.match_expressions {
            all &= requirement.holds(labels)?;
        }
        Ok(all)
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> Result<bool, SelectorError> {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator.as_str() {
            "In" | "NotIn" if self.values.is_empty() => Err(SelectorError::MissingValues {
                key: self.key.clone(),
                operator: self.operator.clone(),
            }),
            "In" => Ok(listed),
            // As Kubernetes defines it: a pod without the key matches NotIn.
            "NotIn" => Ok(!listed),
            "Exists" => Ok(value.is_some()),
            "DoesNotExist" => Ok(value.is_none()),
            _ => Err(SelectorError::UnknownOperator {
                key: self.key.clone(),
                operator: self.operator.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Selector {
        Selector {
            match_labels: BTreeMap::new(),
            match_expressions: vec![Requirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: values.iter().map(|v| (*v).to_owned()).collect(),
            }],
        }
    }

    /// The four operators mean what they mean in Kubernetes, absent keys included.
    #[test]
    fn operators_mean_what_kubernetes_means() {
        let web = labels(&[("app", "web")]);
        let none = labels(&[]);
        for (selector, on_web, on_none) in [
            (expression("app", "In", &["web", "api"]), true, false),
            (expression("app", "NotIn", &["web"]), false, true),
            (expression("app", "Exists", &[]), true, false),
            (expression("app", "DoesNotExist", &[]), false, true),
            (Selector::default(), true, true),
        ] {
            assert_eq!(selector.matches(&web), Ok(on_web), "{selector:?} on web");
            assert_eq!(selector.matches(&none), Ok(on_none), "{selector:?} on none");
        }
    }

    /// What an API server without our rules would let through is an error with a name, not a guess.
    #[test]
    fn nonsense_is_an_error() {
        let web = labels(&[("app", "web")]);
        assert!(matches!(
            expression("app", "Foo", &["web"]).matches(&web),
            Err(SelectorError::UnknownOperator { .. })
        ));
        assert!(matches!(
            expression("app", "In", &[]).matches(&web),
            Err(SelectorError::MissingValues { .. })
        ));
    }
}
