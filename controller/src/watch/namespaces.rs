//! Namespaces: only what their own labels say about injection and Pod Security.

use super::Watched;
use crate::cluster::Cluster;
use ebb_model::views::NamespaceLabels;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use std::collections::BTreeSet;

impl Watched for PartialObjectMeta<Namespace> {
    const KIND: &'static str = "Namespace";

    fn apply(self, cluster: &mut Cluster) {
        let labels = NamespaceLabels::of(self.metadata.labels.as_ref());
        cluster.set_labels(&self.name_any(), labels);
    }

    fn forget(cluster: &mut Cluster, _none: &str, name: &str) {
        cluster.set_labels(name, NamespaceLabels::default());
    }

    fn known(cluster: &Cluster) -> BTreeSet<(String, String)> {
        cluster
            .namespaces()
            .filter(|(_, view)| !view.labels.is_empty())
            .map(|(name, _)| (String::new(), name.clone()))
            .collect()
    }
}
