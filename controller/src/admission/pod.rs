//! A pod under admission: as it came, and as we read it.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A pod under admission.
///
/// It is kept twice. We read the typed form, and write the untyped one: fields that a newer
/// Kubernetes knows and we don't must come out as they went in.
#[derive(Clone, Debug)]
pub struct ReviewedPod {
    object: Value,
    pod: Pod,
    spec: PodSpec,
}

impl ReviewedPod {
    /// Reads a pod as it stands in an admission request.
    ///
    /// # Errors
    ///
    /// Fails if it is no pod, or one without a spec.
    pub fn read(object: Value) -> Result<ReviewedPod, serde_json::Error> {
        let mut pod = Pod::deserialize(&object)?;
        let spec = pod.spec.take().ok_or_else(|| {
            serde::de::Error::custom("the pod has no spec, which no API server lets through")
        })?;
        Ok(ReviewedPod { object, pod, spec })
    }

    /// The pod as it came.
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// Its spec, as far as we know its fields.
    pub fn spec(&self) -> &PodSpec {
        &self.spec
    }

    /// Its labels.
    pub fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.pod.metadata.labels.as_ref()
    }

    /// The annotation of that name.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self.pod.metadata.annotations.as_ref()?;
        annotations.get(name).map(String::as_str)
    }

    /// A name for logs: under admission most pods have only the beginning of one.
    pub fn name(&self) -> &str {
        let metadata = &self.pod.metadata;
        let name = metadata.name.as_ref().or(metadata.generate_name.as_ref());
        name.map_or("", String::as_str)
    }

    /// Its init containers, in order.
    pub fn init_containers(&self) -> &[Container] {
        self.spec.init_containers.as_deref().unwrap_or_default()
    }

    /// All of its containers, init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers().iter().chain(&self.spec.containers)
    }
}
