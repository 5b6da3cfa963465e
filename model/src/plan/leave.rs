//! What a leaving pod is told about its endpoints.

use crate::views::{NamespaceView, PodView};
use ebb_api::desired::Endpoints;

/// What the slices say about a pod that leaves; of any other pod nothing is known.
///
/// A serving pod is not told how its endpoints come and go: it would be news with every readiness
/// flip, and what it had heard last would be stale knowledge on the day that it leaves while the
/// controller is away. What it does not know it does not act on.
pub fn endpoints(namespace: &NamespaceView, pod: &PodView) -> Endpoints {
    match pod.leave {
        Some(_) => namespace.endpoints.of(&pod.name),
        None => Endpoints::Present,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::injected;
    use crate::views::endpoints::SliceView;
    use ebb_api::desired::Leave;
    use ebb_api::phase::Trigger;

    /// A serving pod hears nothing about its endpoints, a leaving one all.
    #[test]
    fn only_a_leaving_pod_hears_of_its_endpoints() {
        let mut namespace = NamespaceView::default();
        let says = SliceView::from([("web-0".to_owned(), Endpoints::Gone)]);
        namespace.endpoints.set("web", says);
        let mut pod = injected("web-0");
        assert_eq!(endpoints(&namespace, &pod), Endpoints::Present);
        pod.leave = Some(Leave {
            trigger: Trigger::Deleted,
            grace_seconds: Some(335),
        });
        assert_eq!(endpoints(&namespace, &pod), Endpoints::Gone);
        assert_eq!(
            endpoints(&NamespaceView::default(), &pod),
            Endpoints::NotServing,
            "a pod of no Service"
        );
    }
}
