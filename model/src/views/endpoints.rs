//! What the EndpointSlices of a namespace say about its pods.

mod object;

pub use object::NarrowSlice;

use ebb_api::desired::Endpoints;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Up to how many ready endpoints of a Service a change of their number is news to those of its
/// pods that are not ready: whether they are alone may be another. A pod of two address families
/// stands in two slices.
const FEW: usize = 4;

/// What one slice says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceView {
    /// The Service that it belongs to.
    pub service: String,
    /// How that is found.
    pub kind: ServiceKind,
    /// What it says about each pod that it names.
    pub pods: BTreeMap<String, Endpoints>,
}

/// How clients find the endpoints of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceKind {
    /// By an address of its own, from where every node leads them to a ready endpoint.
    #[default]
    WithAddress,
    /// By DNS, which tells the addresses of the endpoints themselves.
    Headless,
}

/// All slices of a namespace, found by pod and by Service.
#[derive(Debug, Default)]
pub struct EndpointIndex {
    slices: HashMap<String, SliceView>,
    /// Which slices name the pod.
    naming: HashMap<String, BTreeSet<String>>,
    services: HashMap<String, ServiceSlices>,
}

/// The slices of one Service.
#[derive(Debug, Default)]
struct ServiceSlices {
    names: BTreeSet<String>,
    /// How many endpoints they call ready.
    ready: usize,
}

// === impl SliceView ===

impl SliceView {
    fn ready(&self) -> usize {
        let says = self.pods.values();
        says.filter(|says| **says == Endpoints::Present).count()
    }
}

// === impl EndpointIndex ===

impl EndpointIndex {
    /// Takes in what a slice says now, where a view without pods means that it is gone. Returns the
    /// pods about which that is something new.
    pub fn set(&mut self, slice: &str, says: SliceView) -> BTreeSet<String> {
        let before = self.slices.remove(slice).unwrap_or_default();
        let mut touched = BTreeSet::new();
        let unnamed = before.pods.keys().filter(|it| !says.pods.contains_key(*it));
        for pod in unnamed {
            touched.insert(pod.clone());
            if let Some(slices) = self.naming.get_mut(pod) {
                slices.remove(slice);
                if slices.is_empty() {
                    self.naming.remove(pod);
                }
            }
        }
        let is_other = before.service != says.service || before.kind != says.kind;
        for (pod, endpoints) in &says.pods {
            if is_other || before.pods.get(pod) != Some(endpoints) {
                touched.insert(pod.clone());
                let slices = self.naming.entry(pod.clone()).or_default();
                slices.insert(slice.to_owned());
            }
        }
        let services = BTreeSet::from([before.service.clone(), says.service.clone()]);
        let ready = |index: &EndpointIndex| {
            let each = services.iter().map(|it| index.services.get(it));
            each.map(|it| it.map_or(0, |it| it.ready).min(FEW))
                .collect::<Vec<_>>()
        };
        let ready_before = ready(self);
        self.leave(slice, &before);
        self.join(slice, says);
        if ready(self) != ready_before {
            let pods = services.iter().flat_map(|it| self.pods_of(it));
            let unready = pods.filter(|it| *it.1 != Endpoints::Present);
            touched.extend(unready.map(|(pod, _)| pod.clone()));
        }
        touched
    }

    /// The slice is none of its Service's any more.
    fn leave(&mut self, slice: &str, says: &SliceView) {
        let Some(service) = self.services.get_mut(&says.service) else {
            return;
        };
        if service.names.remove(slice) {
            service.ready -= says.ready();
        }
        if service.names.is_empty() {
            self.services.remove(&says.service);
        }
    }

    /// It is one of its Service's, if it says anything.
    fn join(&mut self, slice: &str, says: SliceView) {
        if says.pods.is_empty() {
            return;
        }
        let service = self.services.entry(says.service.clone()).or_default();
        service.names.insert(slice.to_owned());
        service.ready += says.ready();
        self.slices.insert(slice.to_owned(), says);
    }

    /// The slices that name the pod.
    fn naming(&self, pod: &str) -> impl Iterator<Item = &SliceView> {
        let slices = self.naming.get(pod).into_iter().flatten();
        slices.filter_map(|slice| self.slices.get(slice))
    }

    /// The worst that any slice says about the pod. To a pod in no slice at all no traffic is sent,
    /// not even by kube-proxy's fallback to terminating endpoints.
    pub fn of(&self, pod: &str) -> Endpoints {
        self.naming(pod)
            .filter_map(|slice| slice.pods.get(pod))
            .min()
            .copied()
            .unwrap_or(Endpoints::NotServing)
    }

    /// The Services whose slices name the pod; one may come more than once.
    pub fn services_of(&self, pod: &str) -> impl Iterator<Item = &str> {
        self.naming(pod).map(|slice| slice.service.as_str())
    }

    /// The pods that the Service's slices call ready; one may come more than once.
    pub fn ready(&self, service: &str) -> impl Iterator<Item = &str> {
        let has_any = self.services.get(service).is_some_and(|it| it.ready > 0);
        let pods = has_any.then(|| self.pods_of(service));
        let ready = pods.into_iter().flatten();
        let ready = ready.filter(|it| *it.1 == Endpoints::Present);
        ready.map(|(pod, _)| pod.as_str())
    }

    /// What the Service's slices say, each about each of its pods.
    fn pods_of(&self, service: &str) -> impl Iterator<Item = (&String, &Endpoints)> {
        let service = self.services.get(service);
        let slices = service.into_iter().flat_map(|service| &service.names);
        slices.flat_map(|slice| self.slices.get(slice).into_iter().flat_map(|it| &it.pods))
    }

    /// Whether Services name the pod, and all of them are headless.
    pub fn is_found_by_dns_alone(&self, pod: &str) -> bool {
        let mut kinds = self.naming(pod).map(|slice| slice.kind).peekable();
        kinds.peek().is_some() && kinds.all(|kind| kind == ServiceKind::Headless)
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
        let pods = pairs.iter();
        SliceView {
            service: "web".to_owned(),
            kind: ServiceKind::WithAddress,
            pods: pods.map(|(pod, says)| ((*pod).to_owned(), *says)).collect(),
        }
    }

    fn touched(pods: &[&str]) -> BTreeSet<String> {
        pods.iter().map(|pod| (*pod).to_owned()).collect()
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
        assert_eq!(index.set("web-1", both.clone()), touched(&["a", "b"]));
        assert!(index.set("web-1", both).is_empty());
        assert_eq!(
            index.set("web-1", says(&[("b", Endpoints::Gone)])),
            touched(&["a", "b"])
        );
        assert_eq!(index.set("web-1", says(&[])), touched(&["b"]));
        assert!(index.is_empty() && index.naming.is_empty() && index.services.is_empty());
    }

    /// A pod that is not ready hears of it when another of its Service becomes ready, or is no
    /// more, in whichever slice; not of each one of many.
    #[test]
    fn who_may_be_alone_hears_of_the_others() {
        let mut index = EndpointIndex::default();
        index.set("web-1", says(&[("a", Endpoints::Gone)]));
        let other = says(&[("b", Endpoints::Present)]);
        assert_eq!(index.set("web-2", other.clone()), touched(&["a", "b"]));
        assert_eq!(index.set("web-2", says(&[])), touched(&["a", "b"]));
        index.set("web-2", other);
        let five = ["b", "c", "d", "e", "f"].map(|pod| (pod, Endpoints::Present));
        index.set("web-2", says(&five));
        let four = says(&five[1..]);
        assert_eq!(index.set("web-2", four), touched(&["b"]), "four are left");
        let three = says(&five[2..]);
        assert_eq!(index.set("web-2", three), touched(&["a", "c"]));
    }

    /// A slice that turns out to belong to another Service, or that Service to another kind, says
    /// something new of all its pods, and nothing of the old one stays.
    #[test]
    fn a_slice_can_change_its_service() {
        let mut index = EndpointIndex::default();
        let of_web = says(&[("a", Endpoints::Present)]);
        index.set("web-1", of_web.clone());
        let headless = SliceView {
            kind: ServiceKind::Headless,
            ..of_web.clone()
        };
        assert_eq!(index.set("web-1", headless), touched(&["a"]));
        assert!(index.is_found_by_dns_alone("a"));
        let of_shop = SliceView {
            service: "shop".to_owned(),
            ..of_web
        };
        assert_eq!(index.set("web-1", of_shop), touched(&["a"]));
        assert_eq!(index.services_of("a").collect::<Vec<_>>(), ["shop"]);
        assert_eq!(index.ready("shop").collect::<Vec<_>>(), ["a"]);
        assert_eq!(index.ready("web").count(), 0);
        assert!(!index.services.contains_key("web"));
    }
}
