//! Each way to fall short, and its remedy.

use super::*;
use crate::fixtures::{injected, pod, policy};
use crate::text::gaps;
use crate::views::{NamespaceLabels, Seen};
use ebb_api::capture::Why;
use jiff::Timestamp;

fn labelled(labels: NamespaceLabels) -> NamespaceView {
    let mut namespace = NamespaceView::default();
    namespace.labels = labels;
    namespace
}

fn context(namespace: &NamespaceView) -> NamespaceContext<'_> {
    NamespaceContext {
        namespace,
        redirect: true,
    }
}

fn of(pod: &PodView, contact: &Contact) -> Option<Gap> {
    let namespace = NamespaceView::default();
    gap(context(&namespace), &policy("web", 100), pod, contact)
}

/// A pod without a sidecar is told apart by when and how it was made.
#[test]
fn a_pod_without_a_sidecar_has_a_reason() {
    let mut old = pod("a");
    old.created = Timestamp::from_second(99).unwrap();
    assert_eq!(of(&old, &Contact::None), Some(Gap::PodsPredatePolicy));
    let mut young = pod("a");
    young.created = Timestamp::from_second(101).unwrap();
    assert_eq!(of(&young, &Contact::None), Some(Gap::NotInjected));
    let mut host = young.clone();
    host.host_network = true;
    assert_eq!(of(&host, &Contact::None), Some(Gap::HostNetwork));
    let mut refused = young;
    refused.refused = Some("Quota".to_owned());
    assert_eq!(of(&refused, &Contact::None).unwrap().reason(), "Quota");
}

/// A namespace that refuses is no fault of the webhook, whatever the pod's own label says:
/// `disabled` always wins, as in the webhook.
#[test]
fn a_namespace_that_refuses_is_the_reason() {
    let namespace = labelled(NamespaceLabels {
        inject: Inject::Disabled,
        ..NamespaceLabels::default()
    });
    let policy = policy("web", 0);
    let mut pod = pod("a");
    let gap_of = |namespace: &NamespaceView, pod: &PodView| {
        gap(context(namespace), &policy, pod, &Contact::None)
    };
    for own in [Inject::Unset, Inject::Garbage, Inject::Enabled] {
        pod.inject = own;
        assert_eq!(gap_of(&namespace, &pod), Some(Gap::InjectionDisabled));
    }
    let enabled = labelled(NamespaceLabels {
        inject: Inject::Enabled,
        ..NamespaceLabels::default()
    });
    assert_ne!(gap_of(&enabled, &pod), Some(Gap::InjectionDisabled));
    pod.inject = Inject::Disabled;
    assert_eq!(gap_of(&enabled, &pod), Some(Gap::InjectionDisabled));
}

/// New pods are the remedy only where they would be better: not where the chart or Pod Security
/// forbids the redirect, which is no fault where the best is asked for that can be had, and not
/// where its step fails, which says more in its log.
#[test]
fn new_pods_do_not_mend_a_redirect_that_fails_or_is_forbidden() {
    let observing = Contact::Reached {
        mode: Mode::Observe,
        steps: vec![Step {
            mode: Mode::Redirect,
            why: Why::InitMissing,
            detail: "no redirect step ran".to_owned(),
        }],
        seen: Seen::default(),
    };
    let named = |wanted, redirect, forbids_net_admin, redirect_step| {
        let namespace = labelled(NamespaceLabels {
            forbids_net_admin,
            ..NamespaceLabels::default()
        });
        let context = NamespaceContext {
            namespace: &namespace,
            redirect,
        };
        let mut pod = injected("a");
        pod.sidecar.as_mut().unwrap().redirect_step = redirect_step;
        let mut policy = policy("web", 100);
        policy.capture.mode = wanted;
        let gap = gap(context, &policy, &pod, &observing).unwrap();
        let reason = gap.reason().to_owned();
        (
            context.mode(&policy),
            reason,
            gap.remedy(),
            gaps::sentence(&gap),
        )
    };
    let of = |redirect, forbids_net_admin, redirect_step| {
        named(
            CaptureMode::Auto,
            redirect,
            forbids_net_admin,
            redirect_step,
        )
    };
    let (mode, reason, remedy, sentence) = of(true, false, true);
    assert_eq!(
        (mode, reason.as_str()),
        (Mode::Transparent, "CaptureFailed")
    );
    assert_eq!(remedy, Remedy::Logs("ebb-redirect"));
    assert!(sentence.contains("(no redirect step ran)"), "{sentence}");
    let (mode, reason, remedy, _) = of(true, false, false);
    assert_eq!(
        (mode, reason.as_str(), remedy),
        (Mode::Transparent, "CaptureOutdated", Remedy::NewPods)
    );
    let (mode, reason, remedy, sentence) = of(true, true, false);
    assert_eq!(
        (mode, reason.as_str(), remedy),
        (Mode::Observe, "OnlyObserved", Remedy::Mode)
    );
    assert!(sentence.contains("Pod Security level"), "{sentence}");
    let (_, reason, remedy, sentence) = named(CaptureMode::Transparent, true, true, false);
    assert_eq!(
        (reason.as_str(), remedy),
        ("CaptureForbidden", Remedy::Mode)
    );
    assert!(sentence.contains("Pod Security level"), "{sentence}");
    assert_eq!(
        named(CaptureMode::Redirect, false, false, false).1,
        "CaptureOff"
    );
    for forbids_net_admin in [false, true] {
        let (mode, reason, remedy, sentence) = of(false, forbids_net_admin, false);
        assert_eq!(
            (mode, reason.as_str(), remedy),
            (Mode::Observe, "OnlyObserved", Remedy::Mode)
        );
        let why = "where the chart's sidecar.redirect is false";
        assert!(sentence.contains(why), "{sentence}");
    }
}

/// What can be mended is told before what is as good as it gets.
#[test]
fn what_can_be_mended_comes_first() {
    let namespace = labelled(NamespaceLabels {
        forbids_net_admin: true,
        ..NamespaceLabels::default()
    });
    let observing = Contact::Reached {
        mode: Mode::Observe,
        steps: Vec::new(),
        seen: Seen::default(),
    };
    let mut pod = injected("a");
    let reason_of = |pod: &PodView| {
        let gap = gap(context(&namespace), &policy("web", 100), pod, &observing);
        gap.map(|gap| gap.reason().to_owned())
    };
    assert_eq!(reason_of(&pod).as_deref(), Some(ONLY_OBSERVED));
    pod.grace_seconds = 30;
    assert_eq!(reason_of(&pod).as_deref(), Some("GraceTooShort"));
    assert!(Gap::Observed(Bound::PodSecurity) > Gap::KeyLost);
}

/// A mode that a policy asks for by its name is honored, or it is a gap; any mode with a data path
/// will do where none is named. One that stepped down says so where that is no gap.
#[test]
fn a_mode_that_is_named_is_honored_or_a_gap() {
    let namespace = NamespaceView::default();
    let reached = |mode, steps: &[Step]| Contact::Reached {
        mode,
        steps: steps.to_vec(),
        seen: Seen::default(),
    };
    let refused = Step {
        mode: Mode::Transparent,
        why: Why::RulesRefused,
        detail: "no nft_tproxy".to_owned(),
    };
    let redirected = reached(Mode::Redirect, std::slice::from_ref(&refused));
    let reason_of = |wanted, contact: &Contact| {
        let mut policy = policy("web", 100);
        policy.capture.mode = wanted;
        let gap = gap(context(&namespace), &policy, &injected("a"), contact)?;
        Some(gap.reason().to_owned())
    };
    let reason = |text: &str| Some(text.to_owned());
    for (wanted, contact, expected) in [
        (CaptureMode::Auto, &redirected, None),
        (CaptureMode::Redirect, &redirected, None),
        (
            CaptureMode::Transparent,
            &redirected,
            reason("CaptureFailed"),
        ),
        (CaptureMode::Observe, &redirected, reason("CaptureOutdated")),
        (CaptureMode::Observe, &reached(Mode::Observe, &[]), None),
        (
            CaptureMode::Redirect,
            &reached(Mode::Transparent, &[]),
            reason("CaptureOutdated"),
        ),
    ] {
        assert_eq!(
            reason_of(wanted, contact),
            expected,
            "{wanted:?} {contact:?}"
        );
    }
    let told = Some((Mode::Redirect, std::slice::from_ref(&refused)));
    assert_eq!(stepped_down(&redirected), told);
    assert_eq!(stepped_down(&reached(Mode::Transparent, &[])), None);
    // A mode that is the best may lack something all the same.
    let own_address = Step {
        mode: Mode::Transparent,
        why: Why::OwnAddress,
        detail: "port 8080".to_owned(),
    };
    let lacking = reached(Mode::Transparent, std::slice::from_ref(&own_address));
    assert_eq!(
        stepped_down(&lacking),
        Some((Mode::Transparent, std::slice::from_ref(&own_address)))
    );
}

/// An annotation that can't be used is said, after all that keeps a pod from draining.
#[test]
fn an_annotation_that_cannot_be_used_is_the_least_gap() {
    let mut pod = injected("a");
    let said = "ebb.dev/sidecar-cpu is \"many\", not cores, such as 100m or 0.5";
    pod.sidecar.as_mut().unwrap().unusable = vec![said.to_owned()];
    let found = of(&pod, &Contact::None).unwrap();
    assert_eq!(found.reason(), "InvalidAnnotation");
    assert_eq!(gaps::name(&found, "a"), format!("a ({said})"));
    assert_eq!(of(&pod, &Contact::KeyLost).unwrap().reason(), "KeyLost");
}

/// A container that a drain can't hold is said, unless nothing is to be held.
#[test]
fn a_hook_that_only_kubelet_can_carry_out_is_a_gap() {
    let mut pod = injected("a");
    pod.sidecar.as_mut().unwrap().unheld = vec!["app".to_owned(), "log".to_owned()];
    let gap_now = of(&pod, &Contact::None).unwrap();
    assert_eq!(gap_now.reason(), "OwnHook");
    assert_eq!(gaps::name(&gap_now, "a"), "a (app and log)");
    let mut policy = policy("web", 100);
    policy.settings.enabled = false;
    let namespace = NamespaceView::default();
    let context = context(&namespace);
    assert_eq!(gap(context, &policy, &pod, &Contact::None), None);
}

/// With a sidecar it is its mode, then the grace, then whether it answers.
#[test]
fn a_sidecar_can_fall_short() {
    let unreachable = Contact::Unreachable("connection refused".to_owned());
    let observing = Contact::Reached {
        mode: Mode::Observe,
        steps: Vec::new(),
        seen: Seen::default(),
    };
    assert_eq!(of(&injected("a"), &Contact::None), None);
    assert_eq!(of(&injected("a"), &Contact::KeyLost), Some(Gap::KeyLost));
    assert_eq!(
        of(&injected("a"), &unreachable).unwrap().reason(),
        "Unreachable"
    );
    let mut short = injected("a");
    short.grace_seconds = 334;
    assert_eq!(of(&short, &unreachable), Some(Gap::GraceTooShort));
    let failed = Gap::Capture {
        got: Mode::Observe,
        why: SteppedDown::Outdated,
    };
    assert_eq!(of(&short, &observing), Some(failed));
}
