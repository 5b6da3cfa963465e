//! Whether a pod leaves and why, and what its sidecar gets to know of its endpoints then.

use crate::views::{NamespaceView, PodView};
use ebb_api::desired::{Endpoints, Leave};
use ebb_api::phase::Trigger;

/// Why the pod is to leave; `None` while it is to stay.
pub fn leave(pod: &PodView) -> Option<Leave> {
    pod.deletion.map(|deletion| Leave {
        trigger: Trigger::Deleted,
        grace_seconds: deletion.grace_seconds,
    })
}

/// The endpoints of a pod that leaves, as the slices have them; of any other pod nothing is known.
///
/// The sidecar of a serving pod is not told how its endpoints come and go: that would be news with
/// every readiness flip, and the last of it would be stale on the day that the pod leaves while the
/// controller is away. A sidecar does not act on what it does not know.
pub fn endpoints(namespace: &NamespaceView, pod: &PodView) -> Endpoints {
    match leave(pod) {
        Some(_) => namespace.endpoints.of(&pod.name),
        None => Endpoints::Present,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{injected, leaving};
    use crate::views::SliceView;

    /// A deletion is a reason to leave, with its own grace.
    #[test]
    fn a_deleted_pod_leaves() {
        assert_eq!(leave(&injected("web-0")), None);
        let deleted = Leave {
            trigger: Trigger::Deleted,
            grace_seconds: Some(335),
        };
        assert_eq!(leave(&leaving("web-0")), Some(deleted));
    }

    /// The sidecar of a serving pod gets to know nothing of its endpoints, that of a leaving one
    /// all.
    #[test]
    fn only_a_leaving_pod_hears_of_its_endpoints() {
        let mut namespace = NamespaceView::default();
        let says = SliceView {
            pods: [("web-0".to_owned(), Endpoints::Gone)].into(),
            ..SliceView::default()
        };
        namespace.endpoints.set("web", says);
        assert_eq!(
            endpoints(&namespace, &injected("web-0")),
            Endpoints::Present
        );
        let pod = leaving("web-0");
        assert_eq!(endpoints(&namespace, &pod), Endpoints::Gone);
        assert_eq!(
            endpoints(&NamespaceView::default(), &pod),
            Endpoints::NotServing,
            "a pod of no Service"
        );
    }
}
