//! The sample application as objects of Kubernetes.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The port that the application serves HTTP on.
pub const HTTP_PORT: u16 = 8080;
/// The port that it echoes TCP on.
pub const ECHO_PORT: u16 = 9000;

/// A web application to deploy. Fields that are `None` or empty stay out of the objects.
#[derive(Clone, Debug)]
pub struct Web {
    /// The name of all its objects, and the value of their label `app`.
    pub name: String,
    /// The sample application's image.
    pub image: String,
    /// How many pods a Deployment keeps.
    pub replicas: u32,
    /// Further labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// Variables of the application; see [`ebb_sample_app::Config`].
    pub variables: BTreeMap<String, String>,
    /// Fields of the container that are merged into the usual ones, one after the other.
    pub container: Vec<Value>,
    /// Fields of the pod's spec that are merged into the usual ones, one after the other.
    pub pod: Vec<Value>,
}

/// The label of a pod with the name of the Service whose endpoint it is. Policies go by `app`.
const SERVES: &str = "serves";

impl Web {
    /// One that is called `name`, with a readiness probe, and nothing else that is not needed.
    pub fn new(name: &str, image: &str) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            replicas: 1,
            labels: BTreeMap::new(),
            variables: BTreeMap::new(),
            container: Vec::new(),
            pod: Vec::new(),
        }
    }

    /// With `replicas` pods.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// With this variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With this label on its pods.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With these fields of the container: an object, in which a null takes a field away.
    #[must_use]
    pub fn container(mut self, fields: Value) -> Self {
        self.container.push(fields);
        self
    }

    /// With these fields of the pod's spec: an object, in which a null takes a field away.
    #[must_use]
    pub fn pod(mut self, fields: Value) -> Self {
        self.pod.push(fields);
        self
    }

    /// The Deployment.
    pub fn deployment(&self) -> Deployment {
        typed(json!({
            "metadata": {"name": self.name, "labels": {"app": self.name}},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": self.name}},
                "template": {"metadata": {"labels": self.pod_labels()}, "spec": self.pod_spec()},
            },
        }))
    }

    /// One pod, without a Deployment that would replace it.
    pub fn bare_pod(&self) -> Pod {
        typed(json!({
            "metadata": {"name": self.name, "labels": self.pod_labels()},
            "spec": self.pod_spec(),
        }))
    }

    /// Another endpoint of the Service, which no policy of the application's selects: a pod that
    /// leaves beside it is not alone. It may be made wherever the application may.
    pub fn companion(&self) -> Self {
        let mut other = self.clone();
        other.name = format!("{}-other", self.name);
        other.variables.clear();
        other.label(SERVES, &self.name)
    }

    /// The Service, with its ports by number.
    pub fn service(&self) -> Service {
        self.service_to(&json!(HTTP_PORT), &json!(ECHO_PORT))
    }

    /// The Service, with its ports by the names that they have in the pods.
    pub fn service_by_names(&self) -> Service {
        self.service_to(&json!("http"), &json!("echo"))
    }

    fn service_to(&self, http: &Value, echo: &Value) -> Service {
        typed(json!({
            "metadata": {"name": self.name, "labels": {"app": self.name}},
            "spec": {
                "selector": {SERVES: self.name},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": http},
                    {"name": "echo", "port": ECHO_PORT, "targetPort": echo},
                ],
            },
        }))
    }

    fn pod_labels(&self) -> Value {
        let mut labels = self.labels.clone();
        labels.insert("app".to_owned(), self.name.clone());
        let serves = labels.entry(SERVES.to_owned());
        serves.or_insert_with(|| self.name.clone());
        json!(labels)
    }

    fn pod_spec(&self) -> Value {
        let mut variables = vec![
            json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
            json!({"name": "SAMPLE_ECHO", "value": format!("0.0.0.0:{ECHO_PORT}")}),
        ];
        variables.extend(
            self.variables
                .iter()
                .map(|(name, value)| json!({"name": name, "value": value})),
        );
        let mut container = json!({
            "name": "app",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "env": variables,
            "ports": [
                {"name": "http", "containerPort": HTTP_PORT},
                {"name": "echo", "containerPort": ECHO_PORT},
            ],
            "readinessProbe": {
                "httpGet": {"path": "/healthz", "port": HTTP_PORT},
                "periodSeconds": 1,
            },
        });
        for fields in &self.container {
            merge(&mut container, fields.clone());
        }
        let mut spec = json!({"containers": [container]});
        for fields in &self.pod {
            merge(&mut spec, fields.clone());
        }
        spec
    }
}

/// Puts the fields of one object over those of another; a null takes a field away.
fn merge(below: &mut Value, above: Value) {
    let (Value::Object(below), Value::Object(above)) = (below, above) else {
        return;
    };
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (_, Value::Null) => {
                below.remove(&key);
            }
            (Some(Value::Object(fields)), value @ Value::Object(_)) => {
                let mut merged = Value::Object(std::mem::take::<Map<_, _>>(fields));
                merge(&mut merged, value);
                below.insert(key, merged);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn typed<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).expect("the objects above are of their kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test adds is added, what it nulls is gone, the rest stays.
    #[test]
    fn fields_are_merged_into_the_usual_ones() {
        let web = Web::new("web", "image:1")
            .container(json!({"readinessProbe": {"httpGet": null, "tcpSocket": {"port": 9000}}}))
            .pod(json!({"terminationGracePeriodSeconds": 60}));
        let spec = web.bare_pod().spec.unwrap();
        assert_eq!(spec.termination_grace_period_seconds, Some(60));
        let probe = spec.containers[0].readiness_probe.clone().unwrap();
        assert!(probe.http_get.is_none() && probe.tcp_socket.is_some());
        assert_eq!(probe.period_seconds, Some(1));
        let spec = web
            .container(json!({"readinessProbe": null}))
            .bare_pod()
            .spec
            .unwrap();
        assert!(spec.containers[0].readiness_probe.is_none());
    }

    /// Both are endpoints of the one Service, and only the application is its policy's.
    #[test]
    fn a_companion_is_of_the_service_alone() {
        let web = Web::new("web", "image:1").pod(json!({"hostNetwork": true}));
        let selector = web.service().spec.unwrap().selector.unwrap();
        let labels = |web: &Web| web.bare_pod().metadata.labels.unwrap();
        for web in [&web, &web.companion()] {
            let labels = labels(web);
            assert!(
                selector
                    .iter()
                    .all(|(name, value)| labels.get(name) == Some(value))
            );
        }
        assert_eq!(labels(&web)["app"], "web");
        assert_eq!(labels(&web.companion())["app"], "web-other");
        let spec = web.companion().bare_pod().spec.unwrap();
        assert_eq!(spec.host_network, Some(true), "it is made as the other is");
    }
}
