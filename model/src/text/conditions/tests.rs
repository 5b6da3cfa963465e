//! What conditions say, word for word.

use super::*;
use crate::fixtures::policy;
use crate::plan::protection::{Bound, Gap, SteppedDown};
use crate::views::{Imposed, Imposer, Owner};
use ebb_api::capture::{Mode, Step, Why};
use ebb_api::status::Targets;

fn short(pod: &str, kind: &str, owner: &str) -> Short {
    Short {
        pod: pod.to_owned(),
        owner: Some(Owner {
            kind: kind.to_owned(),
            name: owner.to_owned(),
        }),
    }
}

fn reach(selected: u32, gaps: Vec<(Gap, Short)>) -> Reach {
    Reach {
        targets: Targets {
            selected,
            ..Targets::default()
        },
        gaps,
        ..Reach::default()
    }
}

/// Ready says what is in force, in numbers.
#[test]
fn ready_states_the_effective_values() {
    let mut policy = policy("web", 1);
    let says = |policy: &PolicyView| ready(policy, &reach(12, vec![])).message;
    assert_eq!(says(&policy), "In force for 12 pods: up to 300 s each.");
    policy.settings.enabled = false;
    assert_eq!(
        says(&policy),
        "In force for 12 pods: Ebb stands aside (enabled: false)."
    );
}

/// The loser of an overlap names the winner and what to do.
#[test]
fn the_younger_policy_says_that_it_is_overlapped() {
    let mut reach = reach(2, vec![]);
    reach.held_by_older.insert("old".to_owned(), 3);
    let finding = ready(&policy("web", 1), &reach);
    assert_eq!(
        (finding.holds, finding.reason.as_str()),
        (false, "Overlapped")
    );
    assert_eq!(
        finding.message,
        "3 of the 5 pods that it selects belong to the older policy old; it is in force for 2 \
         pods: up to 300 s each. Where two policies select a pod, the oldest is in force: \
         narrow a selector or delete one."
    );
}

/// The worst reason wins; at most three pods are named, sorted; the command can be copied.
#[test]
fn protected_names_the_worst_reason_and_the_command() {
    let mut gaps = vec![(Gap::GraceTooShort, short("a", "Deployment", "web"))];
    for pod in ["e", "d", "c", "b"] {
        gaps.push((Gap::PodsPredatePolicy, short(pod, "Deployment", "web")));
    }
    let finding = protected(&policy("web", 1), &reach(12, gaps));
    assert_eq!(finding.reason, "PodsPredatePolicy");
    assert_eq!(
        finding.message,
        "4 of 12 pods were made before the policy and have no sidecar: b, c, d and 1 more. \
         Mend it with `kubectl -n shop rollout restart deployment/web`. 1 more falls short for \
         other reasons: GraceTooShort."
    );
}

/// A hook that a drain can't hold: the pod, its container, and what to change where.
#[test]
fn a_hook_of_its_own_is_named_with_its_container() {
    let gap =
        |containers: &[&str]| Gap::OwnHook(containers.iter().map(|it| (*it).to_owned()).collect());
    let gaps = vec![
        (gap(&["app"]), short("b", "Deployment", "web")),
        (gap(&["log"]), short("a", "Deployment", "web")),
    ];
    let finding = protected(&policy("web", 1), &reach(3, gaps));
    assert_eq!((finding.holds, finding.reason.as_str()), (false, "OwnHook"));
    assert_eq!(
        finding.message,
        "2 of 3 pods have a preStop hook that only kubelet can carry out (a call by HTTPS, or a \
         command that was left to it), and whose container ends when the hook does, whatever is in \
         flight: a (log), b (app). Mend it with `kubectl -n shop edit deployment/web`: make the \
         hook an httpGet by HTTP or a command, which Ebb holds (without the annotation \
         ebb.dev/own-hook: leave), or take it out."
    );
}

/// What no rollout replaces is named, not given a command that would fail.
#[test]
fn bare_pods_have_no_rollout() {
    let gaps = vec![(Gap::PodsPredatePolicy, short("a", "Job", "once"))];
    let message = protected(&policy("web", 1), &reach(1, gaps)).message;
    assert!(
        message.ends_with("Make anew what no rollout replaces: a."),
        "{message}"
    );
}

/// A redirect step that fails is shown by its log, not by a restart that would fail again.
#[test]
fn a_redirect_that_fails_is_shown_by_its_log() {
    let observing = |why| Gap::Capture {
        got: Mode::Observe,
        why,
    };
    let failed = SteppedDown::Failed(vec![Step {
        mode: Mode::Redirect,
        why: Why::InitFailed,
        detail: "no nf_tables".to_owned(),
    }]);
    let gaps = vec![
        (
            observing(SteppedDown::Outdated),
            short("a", "Deployment", "web"),
        ),
        (observing(failed), short("b", "Deployment", "web")),
    ];
    let finding = protected(&policy("web", 1), &reach(3, gaps));
    assert_eq!(finding.reason, "CaptureFailed");
    assert_eq!(
        finding.message,
        "1 of 3 pods run a sidecar that their connections do not pass (no nf_tables): b. \
         See `kubectl -n shop logs b -c ebb-redirect`. \
         1 more falls short for other reasons: CaptureOutdated."
    );
}

/// Where no better mode can be had nothing is wrong, and the sentence does not say that it is.
#[test]
fn as_good_as_it_gets_is_no_fault() {
    let gaps = vec![(
        Gap::Observed(Bound::PodSecurity),
        short("a", "Deployment", "web"),
    )];
    let finding = protected(&policy("web", 1), &reach(2, gaps));
    assert_eq!(
        (finding.holds, finding.reason.as_str()),
        (false, "OnlyObserved")
    );
    assert_eq!(
        finding.message,
        "1 of 2 pods are only observed, which is as good as it gets where the Pod Security level of \
         the namespace forbids more (who waits for an answer is waited for, as far as the kernel \
         tells, and nobody is told to leave): a. Where their Services name the ports, \
         `capture.mode: NamedPorts` in the policy does more; `Observe` says that no more is asked \
         for."
    );
}

/// Pods that drain in a mode that is not the best are protected, and it is said.
#[test]
fn a_mode_that_is_not_the_best_is_said() {
    let mut reach = reach(3, vec![]);
    let refused = Step {
        mode: Mode::Transparent,
        why: Why::RulesRefused,
        detail: "no nft_tproxy".to_owned(),
    };
    reach.stepped_down = [((Mode::Redirect, vec![refused]), 2)].into();
    let finding = protected(&policy("web", 1), &reach);
    assert_eq!(finding.reason, "AllProtected");
    assert_eq!(
        finding.message,
        "All 3 pods can drain. 2 run in mode Redirect: no nft_tproxy."
    );
    reach.gaps = vec![(Gap::GraceTooShort, short("a", "Deployment", "web"))];
    let finding = protected(&policy("web", 1), &reach);
    assert_eq!(finding.reason, "GraceTooShort");
    let told = finding
        .message
        .ends_with(" 2 run in mode Redirect: no nft_tproxy.");
    assert!(told, "{}", finding.message);
}

/// Limits that nobody asked Ebb for are told, with who set them and what sets others.
#[test]
fn limits_of_others_are_told() {
    let imposed = |resource: &str, amount: &str, by| Imposed {
        resource: resource.to_owned(),
        amount: amount.to_owned(),
        by,
    };
    let mut reach = reach(3, vec![]);
    let memory = imposed("memory", "64Mi", Imposer::LimitRange);
    let cpu = imposed("cpu", "100m", Imposer::Unknown);
    reach.imposed = [(vec![memory.clone()], 1)].into();
    let says = |reach: &Reach| protected(&policy("web", 1), reach).message;
    assert_eq!(
        says(&reach),
        "All 3 pods can drain. 1 has a sidecar with a limit that Ebb did not ask for (memory 64Mi, \
         by a LimitRange); the annotations ebb.dev/sidecar-cpu-limit and \
         ebb.dev/sidecar-memory-limit on the pods set another."
    );
    reach.imposed = [(vec![cpu, memory], 2)].into();
    assert_eq!(
        says(&reach),
        "All 3 pods can drain. 2 have a sidecar with limits that Ebb did not ask for (cpu 100m, by \
         another admission webhook or policy; memory 64Mi, by a LimitRange); the annotations \
         ebb.dev/sidecar-cpu-limit and ebb.dev/sidecar-memory-limit on the pods set others."
    );
}

/// A number that does not count as it stands is told with the values in force.
#[test]
fn numbers_that_do_not_count_are_told() {
    let mut policy = policy("web", 1);
    policy.corrected = vec![
        "connections.webSocketCode 1006 is not allowed, and 1012 counts in its \
                             place"
            .to_owned(),
    ];
    let message = ready(&policy, &reach(3, vec![])).message;
    let said = "connections.webSocketCode 1006 is not allowed, and 1012 counts in its place.";
    assert!(message.ends_with(said), "{message}");
}

/// What LimitRanges made of the sidecars' resources is told, in the webhook's words.
#[test]
fn resources_that_were_fitted_are_told() {
    let mut reach = reach(3, vec![]);
    let cpu = "cpu request 50m instead of 10m: the LimitRange a has min 50m for each container";
    let memory = "memory limit 32Mi instead of 64Mi: the LimitRange a has max 32Mi for each \
                  container";
    reach.fitted = [(vec![cpu.to_owned(), memory.to_owned()], 2)].into();
    assert_eq!(
        protected(&policy("web", 1), &reach).message,
        format!(
            "All 3 pods can drain. 2 have a sidecar whose resources were fitted to the namespace \
             ({cpu}; {memory})."
        )
    );
}

/// Pods whose new connections wait for memory are named, whatever else there is to say.
#[test]
fn who_waits_for_memory_is_named() {
    let mut reach = reach(3, vec![]);
    reach.waiting_for_memory = vec!["b".to_owned(), "a".to_owned()];
    let waits = "New connections to a, b wait, since the limit of the sidecar's memory is almost \
                 reached; the annotation ebb.dev/sidecar-memory-limit on the pods sets another.";
    let says = |reach: &Reach| protected(&policy("web", 1), reach).message;
    assert_eq!(says(&reach), format!("All 3 pods can drain. {waits}"));
    reach.gaps = vec![(Gap::KeyLost, short("c", "Deployment", "web"))];
    assert!(says(&reach).ends_with(waits));
}

/// A selector that means nothing is the most common mistake, and is said; but not of pods that
/// are there and leave.
#[test]
fn a_policy_without_pods_has_no_targets() {
    let mut reach = reach(0, vec![]);
    let says = |reach: &Reach| {
        let finding = protected(&policy("web", 1), reach);
        assert_eq!(finding.reason, "NoTargets");
        finding.message
    };
    assert_eq!(
        says(&reach),
        "No pod of the namespace shop has the labels that the selector asks for."
    );
    reach.targets.leaving = 2;
    assert_eq!(says(&reach), "All pods that it selects are leaving.");
    reach.held_by_older.insert("old".to_owned(), 1);
    assert_eq!(
        says(&reach),
        "All pods that it selects are leaving or belong to older policies."
    );
}
