//! Where the clients of a leaving pod can go, and how soon.

use super::leave::leave;
use super::select::in_force;
use crate::views::{NamespaceView, PodView};
use ebb_api::desired::{Endpoints, Services};

/// For how long an answer of the cluster's DNS is good, in seconds: `ttl 30` in the configuration
/// that kubeadm and most distributions give to CoreDNS.
const DNS_SECONDS: u32 = 30;

/// How the clients of a leaving pod's Services fare; of any other pod nothing is said, as of its
/// [endpoints](super::leave::endpoints).
pub fn services(namespace: &NamespaceView, pod: &PodView) -> Services {
    match leave(pod) {
        Some(_) => Services {
            alone_in: alone_in(namespace, &pod.name),
            dns_seconds: dns_seconds(namespace, &pod.name),
        },
        None => Services::default(),
    }
}

/// The first Service by name that names the pod and has no other endpoint that is ready and stays.
///
/// A pod can leave before the slices know it: of several that are deleted at once none may count on
/// another.
fn alone_in(namespace: &NamespaceView, pod: &str) -> Option<String> {
    let stays = |other: &str| {
        let other = namespace.pod(other);
        other.is_none_or(|other| leave(other).is_none())
    };
    let services = namespace.endpoints.services_of(pod);
    let alone = services.filter(|service| {
        let mut ready = namespace.endpoints.ready(service);
        !ready.any(|other| other != pod && stays(other))
    });
    alone.min().map(str::to_owned)
}

/// For how long clients may still come by DNS, where they find the pod by nothing else. What the
/// policy says of the lame-duck phase counts before our guess: its least length, or a greatest one
/// that is shorter.
///
/// A pod that does not even serve was in no answer.
fn dns_seconds(namespace: &NamespaceView, pod: &str) -> Option<u32> {
    let endpoints = &namespace.endpoints;
    if endpoints.of(pod) == Endpoints::NotServing || !endpoints.is_found_by_dns_alone(pod) {
        return None;
    }
    let policy = in_force(namespace.policies_of(pod));
    let says_otherwise = policy.is_some_and(|policy| {
        policy.names_min_seconds || policy.settings.deregistration.max_seconds < DNS_SECONDS
    });
    (!says_otherwise).then_some(DNS_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{injected, leaving, policy};
    use crate::views::{ServiceKind, SliceView};

    /// A slice: its Service, that one's kind, what it says of each pod.
    type Slice<'a> = (&'a str, ServiceKind, &'a [(&'a str, Endpoints)]);

    /// A namespace in which `web-0` leaves, with these slices.
    fn with(slices: &[Slice<'_>]) -> NamespaceView {
        let mut namespace = NamespaceView::default();
        namespace.set_pod(leaving("web-0"));
        for (number, (service, kind, pods)) in slices.iter().enumerate() {
            let pods = pods.iter();
            let says = SliceView {
                service: (*service).to_owned(),
                kind: *kind,
                pods: pods.map(|(pod, says)| ((*pod).to_owned(), *says)).collect(),
            };
            namespace.endpoints.set(&format!("slice-{number}"), says);
        }
        namespace
    }

    fn of(namespace: &NamespaceView) -> Services {
        services(namespace, namespace.pod("web-0").unwrap())
    }

    const PLAIN: ServiceKind = ServiceKind::WithAddress;
    const HEADLESS: ServiceKind = ServiceKind::Headless;
    const GONE: (&str, Endpoints) = ("web-0", Endpoints::Gone);

    /// Another endpoint counts if it is ready, in whichever slice of the Service it stands.
    #[test]
    fn who_has_another_ready_endpoint_is_not_alone() {
        let other = |says| ("web-1", says);
        for (slices, alone_in) in [
            (vec![("web", PLAIN, &[GONE][..])], Some("web")),
            (
                vec![("web", PLAIN, &[GONE, other(Endpoints::Present)])],
                None,
            ),
            (
                vec![("web", PLAIN, &[GONE, other(Endpoints::Gone)])],
                Some("web"),
            ),
            (
                vec![("web", PLAIN, &[GONE, other(Endpoints::NotServing)])],
                Some("web"),
            ),
            (
                vec![
                    ("web", PLAIN, &[GONE]),
                    ("web", PLAIN, &[other(Endpoints::Present)]),
                ],
                None,
            ),
            // The pod itself, in another address family and a slice that has not heard of its end.
            (
                vec![
                    ("web", PLAIN, &[GONE]),
                    ("web", PLAIN, &[("web-0", Endpoints::Present)]),
                ],
                Some("web"),
            ),
            // One Service without anybody is enough, and the first by name is named.
            (
                vec![
                    ("web", PLAIN, &[GONE, other(Endpoints::Present)]),
                    ("own-0", PLAIN, &[GONE]),
                    ("own", HEADLESS, &[GONE]),
                ],
                Some("own"),
            ),
            // In no Service.
            (vec![("web", PLAIN, &[other(Endpoints::Present)])], None),
            (vec![], None),
        ] {
            let namespace = with(&slices);
            assert_eq!(of(&namespace).alone_in.as_deref(), alone_in, "{slices:?}");
        }
    }

    /// Of pods that are deleted at once none counts on another, though the slices call it ready; a
    /// pod that is not known is as the slices say.
    #[test]
    fn an_endpoint_that_leaves_is_no_other() {
        let others = [
            GONE,
            ("web-1", Endpoints::Present),
            ("web-2", Endpoints::Present),
        ];
        let mut namespace = with(&[("web", PLAIN, &others)]);
        namespace.set_pod(leaving("web-1"));
        assert_eq!(of(&namespace).alone_in, None);
        namespace.set_pod(injected("web-2"));
        assert_eq!(of(&namespace).alone_in, None);
        namespace.set_pod(leaving("web-2"));
        assert_eq!(of(&namespace).alone_in.as_deref(), Some("web"));
    }

    /// Clients that find the pod by DNS alone are told how long that takes; one Service with an
    /// address is another way.
    #[test]
    fn dns_counts_where_there_is_nothing_else() {
        for (slices, seconds) in [
            (vec![("web", HEADLESS, &[GONE][..])], Some(30)),
            (
                vec![("web", HEADLESS, &[GONE]), ("peers", HEADLESS, &[GONE])],
                Some(30),
            ),
            (
                vec![("web", HEADLESS, &[GONE]), ("vip", PLAIN, &[GONE])],
                None,
            ),
            (vec![("web", PLAIN, &[GONE])], None),
            // A Service of other pods.
            (
                vec![
                    ("web", HEADLESS, &[GONE]),
                    ("vip", PLAIN, &[("web-1", Endpoints::Present)]),
                ],
                Some(30),
            ),
            // It was in no answer.
            (
                vec![("web", HEADLESS, &[("web-0", Endpoints::NotServing)])],
                None,
            ),
            (vec![], None),
        ] {
            assert_eq!(of(&with(&slices)).dns_seconds, seconds, "{slices:?}");
        }
    }

    /// A policy that says something of the lame-duck phase knows its clients better.
    #[test]
    fn what_the_policy_says_counts_before_a_guess() {
        let mut web = policy("web", 1);
        for (names_min_seconds, max_seconds, seconds) in [
            (false, 30, Some(30)),
            (false, 10, None),
            (false, 300, Some(30)),
            (true, 30, None),
        ] {
            let mut namespace = with(&[("web", HEADLESS, &[GONE])]);
            web.names_min_seconds = names_min_seconds;
            web.settings.deregistration.max_seconds = max_seconds;
            namespace.set_policy(Ok(web.clone()));
            assert_eq!(of(&namespace).dns_seconds, seconds, "at most {max_seconds}");
        }
    }

    /// The sidecar of a serving pod hears nothing that could be stale when it leaves.
    #[test]
    fn of_a_serving_pod_nothing_is_said() {
        let mut namespace = with(&[("web", HEADLESS, &[GONE])]);
        namespace.set_pod(injected("web-0"));
        assert!(of(&namespace).are_ordinary());
    }
}
