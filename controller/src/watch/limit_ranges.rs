//! LimitRanges: what they ask of pods that are made.

use super::Watched;
use crate::cluster::Cluster;
use ebb_model::views::LimitRangeView;
use k8s_openapi::api::core::v1::LimitRange;
use kube::ResourceExt;
use std::collections::BTreeSet;

impl Watched for LimitRange {
    const KIND: &'static str = "LimitRange";

    fn apply(self, cluster: &mut Cluster) {
        let namespace = self.namespace().unwrap_or_default();
        cluster.set_limit_range(&namespace, LimitRangeView::of(self));
    }

    fn forget(cluster: &mut Cluster, namespace: &str, name: &str) {
        cluster.remove_limit_range(namespace, name);
    }

    fn known(cluster: &Cluster) -> BTreeSet<(String, String)> {
        let ranges = cluster.namespaces().flat_map(|(namespace, view)| {
            let ranges = view.limit_ranges();
            ranges.map(|range| (namespace.clone(), range.name.clone()))
        });
        ranges.collect()
    }
}
