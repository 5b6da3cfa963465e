//! Pods, policies and reports for tests, here and in other crates.

use crate::views::{Deletion, Owner, PodView, PolicyView, SidecarState, SidecarView};
use ebb_api::capture::Mode;
use ebb_api::desired::Revision;
use ebb_api::names::Inject;
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_api::report::{Census, Drain, Holder, Leaving, Parts, Protocol, Report, WaitsFor};
use ebb_api::settings::Settings;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A serving pod of the Deployment `web` with the label `app: web` and no sidecar.
pub fn pod(name: &str) -> PodView {
    PodView {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        created: Timestamp::UNIX_EPOCH,
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        owner: Some(Owner {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
        }),
        inject: Inject::Unset,
        refused: None,
        host_network: false,
        finished: false,
        ready: true,
        grace_seconds: 30,
        ip: Some(IpAddr::from([198, 19, 1, 7])),
        deletion: None,
        sidecar: None,
    }
}

/// The same with a running sidecar whose bootstrap has no policy.
pub fn injected(name: &str) -> PodView {
    PodView {
        grace_seconds: 335,
        sidecar: Some(SidecarView {
            key: "k1".to_owned(),
            bootstrap_settings: Settings::without_policy(),
            original_grace_seconds: 30,
            redirect_step: true,
            unheld: Vec::new(),
            unusable: Vec::new(),
            fitted: Vec::new(),
            imposed: Vec::new(),
            state: SidecarState::Running,
            restarts: 0,
            last: None,
            garbled: None,
        }),
        ..pod(name)
    }
}

/// The same, deleted.
pub fn leaving(name: &str) -> PodView {
    PodView {
        deletion: Some(Deletion {
            grace_seconds: Some(335),
        }),
        ..injected(name)
    }
}

/// A policy for all pods with the label `app: web`, made at the given second.
pub fn policy(name: &str, created: i64) -> PolicyView {
    let object = json!({
        "apiVersion": "ebb.dev/v1alpha1",
        "kind": "DrainPolicy",
        "metadata": {"namespace": "shop", "name": name, "uid": name, "generation": 1,
            "creationTimestamp": Timestamp::from_second(created).expect("a second of this age").to_string()},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    });
    let object = serde_json::from_value(object).expect("it has the shape of a policy");
    PolicyView::of(object).expect("its selector can be matched")
}

/// A pod that drains 1 request on 14 connections since 12 s.
pub fn draining() -> Report {
    Report {
        pod: "uid-of-web-0".to_owned(),
        boot: "b1".to_owned(),
        revision: Revision::new(0, 1),
        mode: Mode::Redirect,
        steps: Vec::new(),
        phase: Phase::Draining,
        leaving: Some(Leaving {
            trigger: Trigger::Deleted,
            elapsed_ms: 12_100,
            remaining_ms: 288_000,
            broken: BTreeMap::new(),
            alone_in: None,
            dns_ms: None,
        }),
        now: Census {
            connections: BTreeMap::from([(Protocol::Http1, 12), (Protocol::Opaque, 2)]),
            in_flight: BTreeMap::from([(Protocol::Http1, 1)]),
            oldest_ms: Some(14_200),
            holders: vec![holder()],
            bypassing: 0,
        },
        memory: None,
        refused_hooks: 0,
        last: None,
    }
}

/// A client that has waited for its answer for 14 s.
pub fn holder() -> Holder {
    Holder {
        client: ([10, 244, 1, 9], 41_822).into(),
        port: 8080,
        protocol: Protocol::Http1,
        in_flight: 1,
        age_ms: 14_200,
        received: 310,
        sent: 0,
        waits_for: WaitsFor::App,
    }
}

/// A drain of 5 minutes that cut one connection.
pub fn timed_out() -> Drain {
    Drain {
        trigger: Trigger::Deleted,
        outcome: Outcome::TimedOut,
        took_ms: 300_040,
        parts: Parts {
            endpoints_ms: 310,
            quiet_ms: 2_190,
            last_request_ms: 297_540,
            ..Parts::default()
        },
        deregistered_ms: Some(2_500),
        endpoints_gone_ms: Some(310),
        finished: 12,
        unseen: 0,
        cut: BTreeMap::from([(Protocol::Opaque, 1)]),
        broken: BTreeMap::new(),
        abandoned: BTreeMap::new(),
        given_up: 0,
        handed_over: 0,
        oldest_cut_ms: Some(2_460_000),
        idle_closed: 0,
        one_way_closed: 0,
        late: 0,
        bypassing: 0,
        holders: vec![Holder {
            protocol: Protocol::Opaque,
            age_ms: 2_460_000,
            received: 5_300,
            sent: 64_000,
            ..holder()
        }],
    }
}
