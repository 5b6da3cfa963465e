//! EndpointSlices, of the endpoint slice controller alone: hand-written and mirrored ones never
//! turn unready, so a drain that waited for them would always wait to its maximum.

use super::Watched;
use crate::cluster::Cluster;
use ebb_model::views::{NarrowSlice, SliceView};
use kube::ResourceExt;
use kube::runtime::watcher::Config;
use std::collections::BTreeSet;

/// Narrows the watch to the slices that follow the pods' readiness.
pub fn config() -> Config {
    Config::default()
        .labels("endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io")
}

impl Watched for NarrowSlice {
    const KIND: &'static str = "EndpointSlice";

    fn apply(self, cluster: &mut Cluster) {
        let namespace = self.namespace().unwrap_or_default();
        cluster.set_slice(&namespace, &self.name_any(), self.view());
    }

    fn forget(cluster: &mut Cluster, namespace: &str, name: &str) {
        cluster.set_slice(namespace, name, SliceView::default());
    }

    fn known(cluster: &Cluster) -> BTreeSet<(String, String)> {
        let mut known = BTreeSet::new();
        for (namespace, view) in cluster.namespaces() {
            for slice in view.endpoints.slices() {
                known.insert((namespace.clone(), slice.clone()));
            }
        }
        known
    }
}
