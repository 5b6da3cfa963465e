//! What the controller's word changes.

use super::*;

/// The controller may be first; the hooks join, and the deadline counts from its word.
#[test]
fn the_controller_may_speak_before_kubelet() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.delete(Some(GRACE));
    assert_eq!(bench.orders.phase, Phase::Deregistering);
    bench.run(seconds(9.0));
    bench.pod_hooks();
    assert_eq!(bench.orders.deadline, Some(bench.start + seconds(60.0)));
    bench.finish();
    bench.endpoints(Endpoints::NotServing);
    bench.until_released();
    bench.run(seconds(3600.0));
    assert_eq!(
        bench.orders.phase,
        Phase::Ended,
        "the controller's word stands"
    );
}

/// What only the controller asked for it can take back; what kubelet does it cannot.
#[test]
fn only_its_own_word_is_taken_back() {
    let mut bench = Bench::new(settings(60));
    bench.delete(None);
    bench.leave = None;
    bench.put();
    assert_eq!(bench.orders.phase, Phase::Serving);
    assert_eq!(bench.last().outcome, Outcome::Cancelled);

    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.delete(None);
    bench.pod_hooks();
    bench.leave = None;
    bench.put();
    assert_ne!(bench.orders.phase, Phase::Serving);
}

/// A controller that sees no deletion well after both hooks came: kubelet ends the pod by itself,
/// with a grace that nobody knows. Readiness goes at once and 20 s must do.
#[test]
fn hooks_without_a_deletion_are_terminating() {
    let mut bench = Bench::new(settings(60));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(1.0));
    bench.put();
    assert_eq!(
        bench.orders.trigger,
        Some(Trigger::Deleted),
        "too early to tell"
    );
    bench.run(seconds(1.5));
    bench.put();
    assert_eq!(bench.orders.trigger, Some(Trigger::Terminating));
    assert!(!bench.orders.ready);
    let cut = bench.until("cut", |bench| bench.orders.stance == Stance::Cut);
    assert_eq!(cut, 20.0);
}

/// Silence proves nothing: a controller that spoke before may have gone with its node.
#[test]
fn a_silent_controller_is_no_proof() {
    let mut bench = Bench::new(settings(60));
    bench.put();
    bench.run(seconds(100.0));
    bench.begin();
    bench.pod_hooks();
    bench.run(seconds(40.0));
    assert_eq!(bench.orders.trigger, Some(Trigger::Deleted));
    assert_eq!(bench.waiting.len(), 3, "the whole timeout is kept");
}

/// A policy that is switched on while a deleted pod waits for a late kubelet counts.
#[test]
fn switching_on_counts_before_kubelet_comes() {
    let mut bench = Bench::new(Settings {
        enabled: false,
        ..settings(60)
    });
    bench.begin();
    bench.delete(None);
    assert_eq!(bench.last().outcome, Outcome::Skipped);
    bench.settings.enabled = true;
    bench.put();
    assert_eq!(bench.orders.phase, Phase::Deregistering);
}
