//! What the EndpointSlices of a namespace say about its pods.

mod object;

pub use object::NarrowSlice;

use ebb_api::desired::Endpoints;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What one slice says about each pod that it names.
pub type SliceView = BTreeMap<String, Endpoints>;

/// All slices of a namespace, found by pod.
#[derive(Debug, Default)]
pub struct EndpointIndex {
    slices: HashMap<String, SliceView>,
    /// Which slices name the pod.
    naming: HashMap<String, BTreeSet<String>>,
}

impl EndpointIndex {
    /// Takes in what a slice says now, where an empty view means that it is gone. Returns the pods
    /// about which that is something new.
    pub fn set(&mut self, slice: &str, says: SliceView) -> Vec<String> {
        let before = self.slices.remove(slice).unwrap_or_default();
        let mut touched = Vec::new();
        for pod in before.keys().filter(|pod| !says.contains_key(*pod)) {
            touched.push(pod.clone());
            if let Some(slices) = self.naming.get_mut(pod) {
                slices.remove(slice);
                if slices.is_empty() {
                    self.naming.remove(pod);
                }
            }
        }
        for (pod, endpoints) in &says {
            if before.get(pod) != Some(endpoints) {
                touched.push(pod.clone());
                let slices = self.naming.entry(pod.clone()).or_default();
                slices.insert(slice.to_owned());
            }
        }
        if !says.is_empty() {
            self.slices.insert(slice.to_owned(), says);
        }
        touched
    }

    /// The worst that any slice says about the pod. To a pod in no slice at all no traffic is sent,
    /// not even by kube-proxy's fallback to terminating endpoints.
    pub fn of(&self, pod: &str) -> Endpoints {
        let slices = self.naming.get(pod).into_iter().flatten();
        slices
            .filter_map(|slice| self.slices.get(slice)?.get(pod))
            .min()
            .copied()
            .unwrap_or(Endpoints::NotServing)
    }

    /// The names of all slices that are known.
    pub fn slices(&self) -> impl Iterator<Item = &String> {
        self.slices.keys()
    }

    /// Whether no slice is known.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(pairs: &[(&str, Endpoints)]) -> SliceView {
        pairs
            .iter()
            .map(|(pod, endpoints)| ((*pod).to_owned(), *endpoints))
            .collect()
    }

    /// A pod is gone only when the last of its Services has noticed.
    #[test]
    fn the_worst_slice_counts() {
        let mut index = EndpointIndex::default();
        index.set("web-1", says(&[("a", Endpoints::Gone)]));
        index.set("admin-1", says(&[("a", Endpoints::Present)]));
        assert_eq!(index.of("a"), Endpoints::Present);
        index.set("admin-1", says(&[("a", Endpoints::NotServing)]));
        assert_eq!(index.of("a"), Endpoints::Gone);
        index.set("web-1", says(&[]));
        assert_eq!(index.of("a"), Endpoints::NotServing);
    }

    /// In no slice: nothing is sent there.
    #[test]
    fn a_pod_of_no_service_has_no_endpoints() {
        assert_eq!(EndpointIndex::default().of("a"), Endpoints::NotServing);
    }

    /// Only pods about which something changed are looked at again, and nothing stays behind.
    #[test]
    fn a_slice_touches_only_what_it_says_anew() {
        let mut index = EndpointIndex::default();
        let both = says(&[("a", Endpoints::Present), ("b", Endpoints::Present)]);
        assert_eq!(index.set("web-1", both.clone()), ["a", "b"]);
        assert!(index.set("web-1", both).is_empty());
        assert_eq!(
            index.set("web-1", says(&[("b", Endpoints::Gone)])),
            ["a", "b"]
        );
        assert_eq!(index.set("web-1", says(&[])), ["b"]);
        assert!(index.is_empty() && index.naming.is_empty());
    }
}
