//! What a policy means for the pods that it selects, counted.

use super::leave::leave;
use super::protection::{Gap, NamespaceContext, gap, stepped_down};
use super::select::in_force;
use crate::views::{Contact, Imposed, Owner, PolicyView};
use ebb_api::capture::{Mode, Step};
use ebb_api::status::Targets;
use std::collections::BTreeMap;

/// What a policy means for its pods, counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// Pods that the policy selects and that are in the hands of an older policy: how many by the
    /// name of that policy.
    pub held_by_older: BTreeMap<String, u32>,
    /// Pods for which it is in force.
    pub targets: Targets,
    /// Those of them that can't drain as it asks.
    pub gaps: Vec<(Gap, Short)>,
    /// Those that can, in a mode that is not the best: how many by the mode and by what their
    /// sidecars say of better ones.
    pub stepped_down: BTreeMap<(Mode, Vec<Step>), u32>,
    /// Those that can, and whose sidecar asks for something else than was wanted, since a
    /// LimitRange does not admit that: how many by what is said of it.
    pub fitted: BTreeMap<Vec<String>, u32>,
    /// Those that can, and whose sidecar has limits that the webhook did not give it: how many by
    /// what they are.
    pub imposed: BTreeMap<Vec<Imposed>, u32>,
    /// Pods whose new connections wait until their sidecar has more memory.
    pub waiting_for_memory: Vec<String>,
}

/// A pod that falls short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Short {
    /// Its name.
    pub pod: String,
    /// What made it.
    pub owner: Option<Owner>,
}

/// What the policy means for the pods of its namespace. `contact` says by a pod's UID what is known
/// of its sidecar. Costs the pods that the policy selects, however many others there are.
pub fn reach<'a>(
    context: NamespaceContext<'_>,
    policy: &PolicyView,
    contact: impl Fn(&str) -> &'a Contact,
) -> Reach {
    let namespace = context.namespace;
    let mut reach = Reach::default();
    for pod in namespace.pods_of(&policy.name).filter(|pod| !pod.finished) {
        let Some(winner) = in_force(namespace.policies_of(&pod.name)) else {
            continue;
        };
        let leaving = leave(pod).is_some();
        if winner.name != policy.name {
            if !leaving {
                *reach.held_by_older.entry(winner.name.clone()).or_default() += 1;
            }
            continue;
        }
        if leaving {
            reach.targets.leaving += 1;
            continue;
        }
        reach.targets.selected += 1;
        reach.targets.serving += u32::from(pod.ready);
        let contact = contact(&pod.uid);
        if contact.seen().waits_for_memory {
            reach.waiting_for_memory.push(pod.name.clone());
        }
        match gap(context, policy, pod, contact) {
            None => {
                reach.targets.protected += 1;
                if let Some((mode, steps)) = stepped_down(contact) {
                    let pods = reach.stepped_down.entry((mode, steps.to_vec()));
                    *pods.or_default() += 1;
                }
                if let Some(sidecar) = &pod.sidecar {
                    count(&mut reach.fitted, &sidecar.fitted);
                    count(&mut reach.imposed, &sidecar.imposed);
                }
            }
            Some(gap) => {
                reach.targets.unprotected += 1;
                let short = Short {
                    pod: pod.name.clone(),
                    owner: pod.owner.clone(),
                };
                reach.gaps.push((gap, short));
            }
        }
    }
    reach
}

/// One more pod of which these things are to be said, if any are.
fn count<T: Clone + Ord>(pods: &mut BTreeMap<Vec<T>, u32>, said: &[T]) {
    if !said.is_empty() {
        *pods.entry(said.to_vec()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{injected, policy};
    use crate::views::NamespaceView;
    use crate::views::policy::count_comparisons;
    use std::cell::Cell;

    /// A namespace of 1,000 pods and 50 policies, each for 20 of them.
    fn crowded() -> NamespaceView {
        let mut namespace = NamespaceView::default();
        for number in 0..50 {
            let mut policy = policy(&number.to_string(), number);
            policy.selector.match_labels = [("app".to_owned(), number.to_string())].into();
            namespace.set_policy(Ok(policy));
        }
        for number in 0..1000 {
            let mut pod = injected(&format!("pod-{number}"));
            pod.labels
                .insert("app".to_owned(), (number % 50).to_string());
            namespace.set_pod(pod);
        }
        namespace
    }

    /// One policy costs its own pods, all policies together cost all pods once, and no label is
    /// compared with any selector.
    #[test]
    fn a_policy_costs_its_own_pods() {
        let namespace = crowded();
        let context = NamespaceContext {
            namespace: &namespace,
            redirect: true,
        };
        let looked_at = Cell::new(0);
        let reach_of = |policy: &PolicyView| {
            reach(context, policy, |_| {
                looked_at.set(looked_at.get() + 1);
                &Contact::None
            })
        };
        let compared = count_comparisons(|| {
            let policy = namespace.policy("7").unwrap();
            assert_eq!(reach_of(policy).targets.selected, 20);
            assert_eq!(looked_at.take(), 20);
            for policy in namespace.policies() {
                assert_eq!(reach_of(policy).targets.protected, 20);
            }
            assert_eq!(looked_at.take(), 1000);
        });
        assert_eq!(compared, 0);
    }
}
