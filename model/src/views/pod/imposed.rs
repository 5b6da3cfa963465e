//! Limits of a sidecar that others have set: a LimitRange's defaults, or another admission webhook.

use ebb_api::names::SIDECAR_CONTAINER;
use ebb_api::quantity::billionths;
use std::collections::BTreeMap;

/// The annotation by which Kubernetes says which defaults of a LimitRange it has put into a pod
/// (plugin/pkg/admission/limitranger/admission.go).
pub(super) const LIMIT_RANGER_ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// The most letters of what stands in a pod that are shown.
const SHOWN: usize = 40;

/// A limit of a sidecar that the webhook did not give it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Imposed {
    /// The resource: `cpu`, `memory`, …
    pub resource: String,
    /// How much of it.
    pub amount: String,
    /// Who has set it.
    pub by: Imposer,
}

/// Who sets limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Imposer {
    /// A LimitRange of the namespace, by its defaults.
    LimitRange,
    /// Nobody who says so: another admission webhook, or a policy.
    Unknown,
}

impl Imposed {
    /// What of these limits was not `given`. `said` is what Kubernetes says of a LimitRange's
    /// defaults.
    pub(super) fn find(
        limits: &BTreeMap<String, String>,
        given: &BTreeMap<String, String>,
        said: Option<&str>,
    ) -> Vec<Imposed> {
        let is_given = |resource: &str, amount: &str| {
            let given = given.get(resource);
            // The API server may write the same amount in another way.
            given.is_some_and(|given| given == amount || billionths(given) == billionths(amount))
        };
        let others = limits
            .iter()
            .filter(|(resource, amount)| !is_given(resource, amount));
        let imposed = others.map(|(resource, amount)| Imposed {
            by: if is_default(said.unwrap_or_default(), resource) {
                Imposer::LimitRange
            } else {
                Imposer::Unknown
            },
            resource: shown(resource),
            amount: shown(amount),
        });
        imposed.collect()
    }
}

/// Whether the words name a default of this resource for the sidecar: `LimitRanger plugin set: cpu,
/// memory request for container app; memory limit for init container ebb`.
fn is_default(said: &str, resource: &str) -> bool {
    let said = said.rsplit_once(": ").map_or(said, |(_, said)| said);
    let of_ours = format!(" limit for init container {SIDECAR_CONTAINER}");
    let mut parts = said
        .split("; ")
        .filter_map(|part| part.strip_suffix(&of_ours));
    parts.any(|resources| resources.split(", ").any(|each| each == resource))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, amount): &(&str, &str)| ((*name).to_owned(), (*amount).to_owned());
        all.iter().map(owned).collect()
    }

    fn imposed(resource: &str, amount: &str, by: Imposer) -> Imposed {
        Imposed {
            resource: resource.to_owned(),
            amount: amount.to_owned(),
            by,
        }
    }

    /// What the webhook gave is not told, however the API server writes it; what a LimitRange set
    /// is told from what nobody says.
    #[test]
    fn whose_limit_it_is() {
        let given = amounts(&[("cpu", "0.2")]);
        let limits = amounts(&[("cpu", "200m"), ("memory", "64Mi")]);
        let said = "LimitRanger plugin set: cpu, memory request for container app; \
                    memory limit for init container ebb";
        let by_range = imposed("memory", "64Mi", Imposer::LimitRange);
        assert_eq!(Imposed::find(&limits, &given, Some(said)), [by_range]);
        let unsaid = [imposed("memory", "64Mi", Imposer::Unknown)];
        assert_eq!(Imposed::find(&limits, &given, None), unsaid);
        // What is said of others is not said of ours.
        for said in [
            "LimitRanger plugin set: memory limit for init container ebb-redirect",
            "LimitRanger plugin set: memory request for init container ebb",
            "LimitRanger plugin set: memory limit for container ebb",
            "",
        ] {
            assert_eq!(Imposed::find(&limits, &given, Some(said)), unsaid, "{said}");
        }
        assert_eq!(Imposed::find(&given, &given, Some(said)), []);
        let changed = amounts(&[("cpu", "50m")]);
        let by_somebody = imposed("cpu", "50m", Imposer::Unknown);
        assert_eq!(Imposed::find(&changed, &given, None), [by_somebody]);
    }
}
