//! Namespaces: only what their own labels say about injection and Pod Security.

use super::Watched;
use crate::cluster::Cluster;
use ebb_api::names::{Inject, POD_SECURITY_LABEL};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use std::collections::BTreeSet;

impl Watched for PartialObjectMeta<Namespace> {
    const KIND: &'static str = "Namespace";

    fn apply(self, cluster: &mut Cluster) {
        let labels = self.metadata.labels.as_ref();
        // `baseline` and `restricted` refuse NET_ADMIN; the only other level is `privileged`.
        let level = labels.and_then(|labels| labels.get(POD_SECURITY_LABEL));
        let forbids = level.is_some_and(|level| level == "baseline" || level == "restricted");
        let name = self.name_any();
        cluster.set_inject(&name, Inject::of(labels));
        cluster.set_forbids_net_admin(&name, forbids);
    }

    fn forget(cluster: &mut Cluster, _none: &str, name: &str) {
        cluster.set_inject(name, Inject::Unset);
        cluster.set_forbids_net_admin(name, false);
    }

    fn known(cluster: &Cluster) -> BTreeSet<(String, String)> {
        cluster
            .namespaces()
            .filter(|(_, view)| view.inject != Inject::Unset || view.forbids_net_admin)
            .map(|(name, _)| (String::new(), name.clone()))
            .collect()
    }
}
