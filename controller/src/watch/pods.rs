//! Pods: all of them, since a policy also counts those that it does not protect.

use super::Watched;
use crate::cluster::Cluster;
use ebb_model::views::NarrowPod;
use std::collections::BTreeSet;

impl Watched for NarrowPod {
    const KIND: &'static str = "Pod";

    fn apply(self, cluster: &mut Cluster) {
        cluster.set_pod(self.view());
    }

    fn delete(self, cluster: &mut Cluster) {
        let last = self.view();
        let (namespace, name) = (last.namespace.clone(), last.name.clone());
        cluster.remove_pod(&namespace, &name, Some(last));
    }

    fn forget(cluster: &mut Cluster, namespace: &str, name: &str) {
        cluster.remove_pod(namespace, name, None);
    }

    fn known(cluster: &Cluster) -> BTreeSet<(String, String)> {
        let mut known = BTreeSet::new();
        for (namespace, view) in cluster.namespaces() {
            for pod in view.pods() {
                known.insert((namespace.clone(), pod.name.clone()));
            }
        }
        known
    }
}
