//! An EndpointSlice as the API server sends it.

use super::{ServiceKind, SliceView};
use ebb_api::desired::Endpoints;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The label by which a slice names its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// The label, without a value, that the endpoint slice controller puts on slices of headless
/// Services (`v1.IsHeadlessService`).
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

/// An EndpointSlice, read no further than is needed.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = EndpointSlice)]
pub struct NarrowSlice {
    metadata: ObjectMeta,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(default)]
    conditions: Conditions,
    target_ref: Option<TargetRef>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct TargetRef {
    kind: Option<String>,
    name: Option<String>,
}

impl NarrowSlice {
    /// Narrows it to what it says about pods.
    pub fn view(&self) -> SliceView {
        let mut pods = BTreeMap::new();
        for endpoint in self.endpoints.iter().flatten() {
            if let Some(target) = &endpoint.target_ref
                && target.kind.as_deref() == Some("Pod")
                && let Some(pod) = &target.name
            {
                let says = endpoint.conditions.says();
                // A dual-stack pod can stand in a slice twice; the worse counts.
                pods.entry(pod.clone())
                    .and_modify(|present: &mut Endpoints| *present = says.min(*present))
                    .or_insert(says);
            }
        }
        let label = |name| self.metadata.labels.as_ref().and_then(|all| all.get(name));
        SliceView {
            service: label(SERVICE_LABEL).cloned().unwrap_or_default(),
            kind: match label(HEADLESS_LABEL) {
                Some(_) => ServiceKind::Headless,
                None => ServiceKind::WithAddress,
            },
            pods,
        }
    }
}

impl Conditions {
    /// As the API defines what is absent: ready unless it says no, serving as ready, not
    /// terminating. A pod that does not serve and is called ready all the same belongs to a Service
    /// with publishNotReadyAddresses, which never takes anybody out: there is nothing to wait for.
    fn says(&self) -> Endpoints {
        let ready = self.ready.unwrap_or(true);
        if !self.serving.unwrap_or(ready) {
            Endpoints::NotServing
        } else if !ready || self.terminating.unwrap_or(false) {
            Endpoints::Gone
        } else {
            Endpoints::Present
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn says(conditions: serde_json::Value) -> Endpoints {
        serde_json::from_value::<Conditions>(conditions)
            .unwrap()
            .says()
    }

    /// The states that a leaving pod goes through, and what is absent.
    #[test]
    fn conditions_read_as_the_api_defines_them() {
        assert_eq!(says(json!({})), Endpoints::Present);
        assert_eq!(
            says(json!({"ready": true, "serving": true, "terminating": false})),
            Endpoints::Present
        );
        assert_eq!(
            says(json!({"ready": false, "serving": true, "terminating": true})),
            Endpoints::Gone
        );
        assert_eq!(
            says(json!({"ready": false, "serving": false, "terminating": true})),
            Endpoints::NotServing
        );
        // publishNotReadyAddresses.
        assert_eq!(
            says(json!({"ready": true, "serving": false, "terminating": true})),
            Endpoints::NotServing
        );
    }

    /// Only endpoints that stand for pods say something about pods.
    #[test]
    fn a_slice_names_pods_alone() {
        let slice: NarrowSlice = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web-x",
                "labels": {"kubernetes.io/service-name": "web", "app": "web"}},
            "endpoints": [
                {"addresses": ["198.19.1.7"], "targetRef": {"kind": "Pod", "name": "web-0"}},
                {"addresses": ["192.0.2.1"]},
                {"addresses": ["192.0.2.2"], "targetRef": {"kind": "Node", "name": "n1"}},
            ],
        }))
        .unwrap();
        let view = slice.view();
        assert_eq!(
            view.pods,
            BTreeMap::from([("web-0".to_owned(), Endpoints::Present)])
        );
        assert_eq!(
            (view.service.as_str(), view.kind),
            ("web", ServiceKind::WithAddress)
        );
        let empty: NarrowSlice =
            serde_json::from_value(json!({"metadata": {}, "endpoints": null})).unwrap();
        assert!(empty.view().pods.is_empty());
    }

    /// The endpoint slice controller marks the slices of headless Services.
    #[test]
    fn a_headless_service_is_known_by_its_label() {
        let slice: NarrowSlice = serde_json::from_value(json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "db",
                "service.kubernetes.io/headless": ""}},
        }))
        .unwrap();
        let view = slice.view();
        assert_eq!(
            (view.service.as_str(), view.kind),
            ("db", ServiceKind::Headless)
        );
    }
}
