//! The preStop hook that the app brought along.

use crate::running::{Sidecar, quick};
use ebb_api::bootstrap::OwnHook;
use ebb_api::phase::Outcome;
use ebb_api::settings::Settings;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

fn http_get(app: SocketAddr, path: &str, at_start: bool) -> Option<OwnHook> {
    Some(OwnHook::HttpGet {
        host: None,
        port: app.port(),
        path: path.to_owned(),
        headers: vec![("x-of-the-app".to_owned(), "1".to_owned())],
        at_start,
    })
}

/// Called when the drain has ended, and kubelet hears of it only after the answer.
#[tokio::test]
async fn it_is_called_at_the_end() {
    let mut sidecar =
        Sidecar::with_own_hook(quick(60), |app| http_get(app, "/bye?x=1", false)).await;
    let mut hooks = sidecar.call_hooks();
    assert_eq!(sidecar.reached().await, "/bye?x=1");
    let report = sidecar.report().await;
    assert!(report.last.is_some(), "the drain has ended: {report:?}");
    hooks.join_next().await.unwrap().unwrap();
    assert!(
        hooks.try_join_next().is_none(),
        "the app has not answered its own hook"
    );
    sidecar.app.answer.notify_waiters();
    hooks.join_all().await;
}

/// Called at once where it says so; the drain goes on meanwhile.
#[tokio::test]
async fn it_may_be_called_at_the_start() {
    let mut sidecar =
        Sidecar::with_own_hook(quick(60), |app| http_get(app, "deregister", true)).await;
    let mut hooks = JoinSet::new();
    hooks.spawn(sidecar.hook("web"));
    assert_eq!(sidecar.reached().await, "/deregister");
    sidecar.app.answer.notify_waiters();
    hooks.spawn(sidecar.hook("ebb"));
    hooks.join_all().await;
}

/// A sleep of the app's is slept even where the policy is disabled: without Ebb it would be.
#[tokio::test]
async fn its_sleep_is_kept_by_a_disabled_policy() {
    let settings = Settings {
        enabled: false,
        ..quick(60)
    };
    let sidecar = Sidecar::with_own_hook(settings, |_| Some(OwnHook::Sleep { seconds: 1 })).await;
    let start = Instant::now();
    sidecar.hook("web").await;
    assert!(start.elapsed() >= Duration::from_secs(1));
}

/// A drain that used all of its time leaves the hook some: it is called after the cut, and kubelet
/// is answered even if the app never answers.
#[tokio::test]
async fn it_is_called_after_a_drain_that_timed_out() {
    let mut sidecar = Sidecar::with_own_hook(quick(1), |app| http_get(app, "/bye", false)).await;
    let _client = sidecar.in_flight("/never").await;
    let hooks = sidecar.call_hooks();
    assert_eq!(sidecar.reached().await, "/bye");
    let last = sidecar.report().await.last.unwrap();
    assert_eq!(last.outcome, Outcome::TimedOut);
    hooks.join_all().await;
}

/// A hook that nobody answers is given up at the deadline.
#[tokio::test]
async fn it_never_blocks_beyond_the_deadline() {
    let mut sidecar = Sidecar::with_own_hook(quick(3), |app| http_get(app, "/never", false)).await;
    let hooks = sidecar.call_hooks();
    assert_eq!(sidecar.reached().await, "/never");
    hooks.join_all().await;
}
