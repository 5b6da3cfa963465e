//! Who selects whom, while pods and policies come, change and go.

use super::*;
use crate::fixtures::{pod, policy};
use crate::views::policy::count_comparisons;

/// The index agrees with the selectors, compared one by one.
fn check(namespace: &NamespaceView) {
    for pod in namespace.pods() {
        let mut indexed: Vec<_> = namespace
            .policies_of(&pod.name)
            .map(|it| &it.name)
            .collect();
        indexed.sort();
        let compared: Vec<_> = namespace
            .policies_for(&pod.labels)
            .map(|it| &it.name)
            .collect();
        assert_eq!(indexed, compared, "of {}", pod.name);
    }
    for policy in namespace.policies() {
        let indexed: Vec<_> = namespace.pods_of(&policy.name).map(|it| &it.name).collect();
        let selected = namespace.pods().filter(|pod| policy.selects(&pod.labels));
        let compared: Vec<_> = selected.map(|it| &it.name).collect();
        assert_eq!(indexed, compared, "of {}", policy.name);
    }
}

fn labelled(name: &str, app: &str) -> PodView {
    let mut pod = pod(name);
    pod.labels.insert("app".to_owned(), app.to_owned());
    pod
}

/// Whatever changes first, both sides find each other.
#[test]
fn the_index_follows_pods_and_policies() {
    let mut namespace = NamespaceView::default();
    namespace.set_pod(pod("before"));
    namespace.set_policy(Ok(policy("web", 1)));
    namespace.set_pod(pod("after"));
    namespace.set_policy(Ok(policy("younger", 2)));
    check(&namespace);
    assert_eq!(namespace.policies_of("before").count(), 2);
    assert_eq!(namespace.pods_of("web").count(), 2);
    // A pod's labels change.
    namespace.set_pod(labelled("after", "other"));
    check(&namespace);
    assert_eq!(namespace.policies_of("after").count(), 0);
    // A policy's selector changes.
    let mut other = policy("younger", 2);
    other.selector.match_labels = [("app".to_owned(), "other".to_owned())].into();
    assert!(namespace.set_policy(Ok(other)));
    check(&namespace);
    assert_eq!(namespace.policies_of("after").count(), 1);
    // One becomes invalid, the other goes, and then the pods.
    namespace.set_policy(Err(Box::new(invalid("web"))));
    check(&namespace);
    assert_eq!(namespace.policies_of("before").count(), 0);
    namespace.remove_policy("younger");
    namespace.remove_policy("web");
    check(&namespace);
    namespace.remove_pod("before");
    namespace.remove_pod("after");
    assert!(namespace.is_empty());
}

fn invalid(name: &str) -> InvalidPolicy {
    let PolicyView {
        namespace,
        uid,
        generation,
        status,
        ..
    } = policy(name, 1);
    InvalidPolicy {
        namespace,
        name: name.to_owned(),
        uid,
        generation,
        why: "it cannot be matched".to_owned(),
        status,
    }
}

/// Most changes of a pod leave its labels as they are, and most of a policy are our own writes of
/// its status: neither compares anything.
#[test]
fn only_labels_and_selectors_are_compared_again() {
    let mut namespace = NamespaceView::default();
    for number in 0..50 {
        namespace.set_policy(Ok(policy(&number.to_string(), number)));
    }
    let new = count_comparisons(|| {
        namespace.set_pod(pod("a"));
    });
    assert_eq!(new, 50);
    let mut ready = pod("a");
    ready.ready = !ready.ready;
    let mut written = policy("7", 7);
    written.status.observed_generation = Some(1);
    let again = count_comparisons(|| {
        namespace.set_pod(ready);
        assert!(!namespace.set_policy(Ok(written)));
    });
    assert_eq!(again, 0);
}
