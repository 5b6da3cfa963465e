//! What the controller knows of the cluster: the views of all objects, sorted by namespace.
//!
//! The watches write here, each object once as it arrives; the webhook, the plan and the reports
//! read. What changed is noted, so that the plan looks at that alone.

use ebb_model::views::{
    InvalidPolicy, LimitRangeView, NamespaceLabels, NamespaceView, PodView, PolicyView, SliceView,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};
use tokio::sync::Notify;

/// Everything that is known, by namespace.
#[derive(Debug, Default)]
pub struct Cluster {
    namespaces: HashMap<String, NamespaceView>,
    /// `None` while nobody wants to know.
    changes: Option<Changes>,
}

/// What changed since the last [`Noting::take`].
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Namespaces in which a policy changed, so that every pod may be meant by another one.
    pub namespaces: BTreeSet<String>,
    /// Pods that changed, or whose endpoints did: namespace and name.
    pub pods: BTreeSet<(String, String)>,
    /// Pods that are gone.
    pub gone: Vec<Gone>,
}

/// A pod that is gone.
#[derive(Debug, PartialEq)]
pub struct Gone {
    /// How it was when it was last seen.
    pub pod: PodView,
    /// The names of the policies that selected it.
    pub selected_by: Vec<String>,
}

/// While it exists, it is noted what changes: by one at a time.
#[derive(Debug)]
pub struct Noting(Arc<SharedCluster>);

/// The [`Cluster`], shared by the watches that write it and all that read it.
#[derive(Debug, Default)]
pub struct SharedCluster {
    cluster: RwLock<Cluster>,
    changed: Notify,
}

// === impl Cluster ===

impl Cluster {
    /// The namespace, if anything is known in it.
    pub fn namespace(&self, namespace: &str) -> Option<&NamespaceView> {
        self.namespaces.get(namespace)
    }

    /// All namespaces with something in them, in no particular order.
    pub fn namespaces(&self) -> impl Iterator<Item = (&String, &NamespaceView)> {
        self.namespaces.iter()
    }

    /// Begins to note what changes: to somebody who knows nothing yet, everything has.
    pub fn note_changes(&mut self) {
        self.changes = Some(Changes {
            namespaces: self.namespaces.keys().cloned().collect(),
            ..Changes::default()
        });
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        self.changes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Notes what the labels of a namespace say.
    pub fn set_labels(&mut self, namespace: &str, labels: NamespaceLabels) {
        self.entry(namespace).labels = labels;
        self.forget_if_empty(namespace);
    }

    /// Takes in a LimitRange that was added or has changed. It is about pods that are made from now
    /// on, so it is no change of any that the plan knows.
    pub fn set_limit_range(&mut self, namespace: &str, range: LimitRangeView) {
        self.entry(namespace).set_limit_range(range);
    }

    /// Forgets a LimitRange that is gone.
    pub fn remove_limit_range(&mut self, namespace: &str, name: &str) {
        self.entry(namespace).remove_limit_range(name);
        self.forget_if_empty(namespace);
    }

    /// Takes in a policy that was added or has changed.
    pub fn set_policy(&mut self, policy: Result<PolicyView, Box<InvalidPolicy>>) {
        let namespace = match &policy {
            Ok(policy) => policy.namespace.clone(),
            Err(policy) => policy.namespace.clone(),
        };
        if self.entry(&namespace).set_policy(policy) {
            self.note(|changes| changes.namespaces.insert(namespace));
        }
    }

    /// Forgets a policy that is gone.
    pub fn remove_policy(&mut self, namespace: &str, name: &str) {
        self.entry(namespace).remove_policy(name);
        self.note(|changes| changes.namespaces.insert(namespace.to_owned()));
        self.forget_if_empty(namespace);
    }

    /// Takes in a pod that was added or has changed. Another pod of the same name is gone then.
    pub fn set_pod(&mut self, pod: PodView) {
        let (namespace, name, uid) = (pod.namespace.clone(), pod.name.clone(), pod.uid.clone());
        let view = self.entry(&namespace);
        if view.pod(&name) == Some(&pod) {
            return;
        }
        let selected_by = selected_by(view, &name);
        if let Some(before) = view.set_pod(pod)
            && before.uid != uid
        {
            let gone = Gone {
                pod: before,
                selected_by,
            };
            self.note(|changes| changes.gone.push(gone));
        }
        self.note(|changes| changes.pods.insert((namespace, name)));
    }

    /// Forgets a pod that is gone. `last` is how it was when it went, where that is known.
    pub fn remove_pod(&mut self, namespace: &str, name: &str, last: Option<PodView>) {
        let view = self.entry(namespace);
        let selected_by = selected_by(view, name);
        if let Some(before) = view.remove_pod(name) {
            let gone = Gone {
                pod: last.unwrap_or(before),
                selected_by,
            };
            self.note(|changes| {
                changes.gone.push(gone);
                changes.pods.insert((namespace.to_owned(), name.to_owned()));
            });
        }
        self.forget_if_empty(namespace);
    }

    /// Takes in what an EndpointSlice says now; a view without pods means that it is gone.
    pub fn set_slice(&mut self, namespace: &str, slice: &str, says: SliceView) {
        let touched = self.entry(namespace).endpoints.set(slice, says);
        let touched = touched.into_iter().map(|pod| (namespace.to_owned(), pod));
        self.note(|changes| changes.pods.extend(touched));
        self.forget_if_empty(namespace);
    }

    fn note<T>(&mut self, note: impl FnOnce(&mut Changes) -> T) {
        if let Some(changes) = &mut self.changes {
            note(changes);
        }
    }

    fn entry(&mut self, namespace: &str) -> &mut NamespaceView {
        // `entry` would need an owned key for every event of a namespace that is there already.
        if !self.namespaces.contains_key(namespace) {
            self.namespaces
                .insert(namespace.to_owned(), NamespaceView::default());
        }
        self.namespaces
            .get_mut(namespace)
            .expect("it was put there above")
    }

    fn forget_if_empty(&mut self, namespace: &str) {
        if self
            .namespaces
            .get(namespace)
            .is_some_and(NamespaceView::is_empty)
        {
            self.namespaces.remove(namespace);
        }
    }
}

/// The names of the policies that select the pod of that name.
pub fn selected_by(namespace: &NamespaceView, pod: &str) -> Vec<String> {
    let policies = namespace.policies_of(pod);
    policies.map(|policy| policy.name.clone()).collect()
}

// === impl SharedCluster ===

impl SharedCluster {
    /// Reads. The closure must be short: the watches wait for it.
    pub fn read<T>(&self, look: impl FnOnce(&Cluster) -> T) -> T {
        look(&self.cluster.read().expect("no holder of the lock panics"))
    }

    /// Writes, and wakes whoever waits in [`Noting::changed`].
    pub fn write<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let result = change(&mut self.cluster.write().expect("no holder of the lock panics"));
        self.changed.notify_one();
        result
    }

    /// Begins to note what changes. To whoever begins, everything has changed.
    pub fn note_changes(self: &Arc<Self>) -> Noting {
        self.write(Cluster::note_changes);
        Noting(Arc::clone(self))
    }
}

// === impl Noting ===

impl Noting {
    /// What changed since the last call.
    pub fn take(&self) -> Changes {
        // Not through `write`: taking note of changes is none.
        let mut cluster = self
            .0
            .cluster
            .write()
            .expect("no holder of the lock panics");
        cluster.take_changes()
    }

    /// Waits until something was written. Cancel safe.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        // A panic elsewhere is no reason for a second one here.
        if let Ok(mut cluster) = self.0.cluster.write() {
            cluster.changes = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_model::fixtures::pod;

    /// A pod that is replaced by another of the same name (a StatefulSet's) is reported as gone.
    #[test]
    fn a_new_uid_under_an_old_name_means_the_old_pod_is_gone() {
        let mut cluster = Cluster::default();
        cluster.note_changes();
        let first = pod("web-0");
        let mut second = first.clone();
        second.uid = "another".to_owned();
        cluster.set_pod(first.clone());
        cluster.take_changes();
        cluster.set_pod(second);
        let gone = Gone {
            pod: first,
            selected_by: Vec::new(),
        };
        assert_eq!(cluster.take_changes().gone, [gone]);
    }

    /// An event that tells nothing new wakes nobody to work.
    #[test]
    fn a_repeated_pod_is_no_change() {
        let mut cluster = Cluster::default();
        cluster.note_changes();
        cluster.set_pod(pod("web-0"));
        cluster.take_changes();
        cluster.set_pod(pod("web-0"));
        assert_eq!(cluster.take_changes(), Changes::default());
    }

    /// While nobody plans, nothing is kept of what comes and goes; whoever begins is told of all
    /// that is there.
    #[test]
    fn what_nobody_wants_to_know_is_not_kept() {
        let cluster = Arc::new(SharedCluster::default());
        let (namespace, change) = (pod("web-0").namespace, |name: &str| {
            cluster.write(|cluster| cluster.set_pod(pod(name)));
        });
        let noting = cluster.note_changes();
        change("web-0");
        assert!(!noting.take().pods.is_empty());
        drop(noting);
        change("web-1");
        cluster.write(|cluster| cluster.remove_pod(&namespace, "web-1", None));
        assert!(cluster.read(|cluster| cluster.changes.is_none()));
        let everything = Changes {
            namespaces: BTreeSet::from([namespace]),
            ..Changes::default()
        };
        assert_eq!(cluster.note_changes().take(), everything);
    }

    /// Namespaces come and go; nothing of them stays behind.
    #[test]
    fn a_namespace_with_nothing_left_is_forgotten() {
        let mut cluster = Cluster::default();
        cluster.set_pod(pod("web-0"));
        let namespace = pod("web-0").namespace;
        cluster.remove_pod(&namespace, "web-0", None);
        assert!(cluster.namespace(&namespace).is_none());
    }
}
