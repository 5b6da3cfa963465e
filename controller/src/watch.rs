//! The watches: each turns the objects of one kind into small views as they arrive.
//!
//! A watch survives everything but the end of the process: an API server that is away (it backs
//! off), a version that has expired (it lists again, and forgets what is not listed), and an object
//! that it cannot read (it logs that and goes on).

pub mod endpoints;
pub mod limit_ranges;
pub mod namespaces;
pub mod pods;
pub mod policies;

use crate::cluster::{Cluster, SharedCluster};
use crate::readiness::Guard;
use futures::StreamExt;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use tracing::{debug, warn};

/// How many objects a list asks for at once: a page is held whole while it is read.
const PAGE_SIZE: u32 = 200;

/// An object that is kept as a view.
pub trait Watched: Resource + Clone + Debug + DeserializeOwned + Send + 'static {
    /// How the log names the kind.
    const KIND: &'static str;

    /// Narrows the object and puts its view in place.
    fn apply(self, cluster: &mut Cluster);

    /// Forgets an object that was deleted; this is how it was when it went.
    fn delete(self, cluster: &mut Cluster) {
        let namespace = self.namespace().unwrap_or_default();
        Self::forget(cluster, &namespace, &self.name_any());
    }

    /// Forgets an object that was deleted while there was no watch.
    fn forget(cluster: &mut Cluster, namespace: &str, name: &str);

    /// Namespace and name of every object of the kind that is known.
    fn known(cluster: &Cluster) -> BTreeSet<(String, String)>;
}

/// Keeps the views of one kind up to date, for as long as the process lives. The guard is dropped
/// when the first list is complete.
pub async fn follow<K: Watched>(cluster: &SharedCluster, api: Api<K>, config: Config, guard: Guard)
where
    K::DynamicType: Default,
{
    let config = config.page_size(PAGE_SIZE);
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let mut guard = Some(guard);
    // Those not listed yet, of the objects that were known before a list began.
    let mut unlisted = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object)) => cluster.write(|cluster| object.apply(cluster)),
            Ok(Event::Delete(object)) => cluster.write(|cluster| object.delete(cluster)),
            Ok(Event::Init) => unlisted = cluster.read(K::known),
            Ok(Event::InitApply(object)) => {
                unlisted.remove(&(object.namespace().unwrap_or_default(), object.name_any()));
                cluster.write(|cluster| object.apply(cluster));
            }
            Ok(Event::InitDone) => {
                for (namespace, name) in std::mem::take(&mut unlisted) {
                    cluster.write(|cluster| K::forget(cluster, &namespace, &name));
                }
                guard.take();
                debug!(kind = K::KIND, "listed");
            }
            Err(error) => warn!(kind = K::KIND, %error, "watching failed; trying again"),
        }
    }
}
