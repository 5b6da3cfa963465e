//! `GET /metrics`, for Prometheus (OpenMetrics text).

use super::Body;
use super::response::{sentence, whole};
use crate::census::{Census, Snapshot};
use crate::lifecycle::Published;
use crate::track::Odd;
use crate::upstream::Upstream;
use ebb_api::phase::Phase;
use ebb_api::report::Protocol;
use hyper::{Response, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

type Labels = [(&'static str, &'static str); 1];

/// All metrics of a sidecar.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    hook_calls: Family<Labels, Counter>,
    desired_refused: Family<Labels, Counter>,
}

/// What is counted elsewhere and read at each scrape.
#[derive(Debug)]
struct Scrape {
    census: Arc<Census>,
    upstream: Arc<Upstream>,
    published: watch::Receiver<Published>,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new(
        census: Arc<Census>,
        upstream: Arc<Upstream>,
        published: watch::Receiver<Published>,
    ) -> Metrics {
        let hook_calls = Family::default();
        let desired_refused = Family::default();
        let mut registry = Registry::with_prefix("ebb");
        registry.register(
            "hook_calls",
            "Calls of preStop hooks, by what came of them",
            hook_calls.clone(),
        );
        registry.register(
            "desired_refused",
            "Desired states that were refused, by reason",
            desired_refused.clone(),
        );
        registry.register_collector(Box::new(Scrape {
            census,
            upstream,
            published,
        }));
        Metrics {
            registry,
            hook_calls,
            desired_refused,
        }
    }

    pub(crate) fn hook(&self, result: &'static str) {
        self.hook_calls.get_or_create(&[("result", result)]).inc();
    }

    pub(crate) fn desired_refused(&self, reason: &'static str) {
        self.desired_refused
            .get_or_create(&[("reason", reason)])
            .inc();
    }

    pub(super) fn scrape(&self) -> Response<Body> {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => whole(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                text,
            ),
            Err(error) => sentence(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

// === impl Scrape ===

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.census.snapshot(Instant::now());
        let published = self.published.borrow();
        let encoder = &mut encoder;
        phase(encoder, published.phase)?;
        connections(encoder, &snapshot)?;
        in_flight(encoder, &snapshot)?;
        bypassing(encoder, &snapshot)?;
        if !published.observed {
            lost(encoder, &snapshot)?;
        }
        turned_opaque(encoder, &snapshot)?;
        drains(encoder, &published)?;
        self.memory(encoder)?;
        self.counters(encoder, &snapshot, &published)
    }
}

impl Scrape {
    /// The container's memory, where it has a limit.
    fn memory(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(memory) = self.upstream.memory().report(Instant::now()) else {
            return Ok(());
        };
        for (name, help, number) in [
            (
                "memory_limit_bytes",
                "The limit of the container's memory",
                memory.limit_bytes,
            ),
            (
                "memory_used_bytes",
                "How much of it is used",
                memory.used_bytes,
            ),
            (
                "memory_waiting",
                "1 while new connections wait until there is more memory",
                u64::from(memory.waiting_ms.is_some()),
            ),
        ] {
            let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge(number).encode(descriptor)?;
        }
        Ok(())
    }

    /// The counters without a label.
    fn counters(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        snapshot: &Snapshot,
        published: &Published,
    ) -> fmt::Result {
        for (name, help, number) in [
            (
                "finished",
                "Requests and opaque connections that finished",
                snapshot.finished,
            ),
            (
                "unseen",
                "Connections past the sidecar that went while somebody waited, for the answer or not",
                snapshot.unseen,
            ),
            (
                "idle_closed",
                "Idle connections closed without having been told to leave",
                snapshot.idle_closed,
            ),
            (
                "refused",
                "Requests answered by the sidecar because the app was gone",
                snapshot.refused,
            ),
            (
                "late",
                "Work that came after the endpoints were gone",
                published.late,
            ),
            (
                "abandoned",
                "Requests and opaque connections in flight when a drain was given up",
                published.abandoned,
            ),
            (
                "accept_errors",
                "Connections that could not be accepted",
                snapshot.accept_errors,
            ),
            (
                "port_waits",
                "Connections to the app that had to wait for a free local port",
                self.upstream.shortage().waited(),
            ),
            (
                "port_losses",
                "Connections lost because no local port was free in time",
                self.upstream.shortage().lost(),
            ),
            (
                "memory_waits",
                "How often new connections began to wait until there is more memory",
                self.upstream.memory().waits(),
            ),
            (
                "panics",
                "Connections lost to a bug of the sidecar",
                snapshot.panics,
            ),
        ] {
            let counter = ConstCounter::new(number);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}

fn phase(encoder: &mut DescriptorEncoder<'_>, phase: Phase) -> fmt::Result {
    let help = "How far the pod has come on its way out";
    let values = Phase::ALL.map(|each| (each.as_str(), gauge(phase == each)));
    family(encoder, ("phase", help), "phase", values)
}

fn connections(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Open client connections";
    let values = by_protocol(&snapshot.connections).map(|(word, number)| (word, gauge(number)));
    family(encoder, ("connections", help), "protocol", values)
}

fn in_flight(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Requests and opaque connections in flight";
    let values = by_protocol(&snapshot.in_flight).map(|(word, number)| (word, gauge(number)));
    family(encoder, ("in_flight", help), "protocol", values)
}

fn bypassing(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help =
        "Open connections to the app that do not pass the relay, which should have been in the way";
    let descriptor = encoder.encode_descriptor("bypassing", help, None, MetricType::Gauge)?;
    gauge(snapshot.bypassing).encode(descriptor)
}

/// By whose hand what was in flight has ended. Where nothing passes the relay that can't be told,
/// and 0 would be a lie.
fn lost(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Requests and opaque connections that their clients gave up";
    let counter = ConstCounter::new(snapshot.given_up);
    counter.encode(encoder.encode_descriptor("given_up", help, None, MetricType::Counter)?)?;
    let counter = |(word, number)| (word, ConstCounter::new(number));
    let help = "Requests and opaque connections cut at a deadline";
    let values = by_protocol(&snapshot.cut).map(counter);
    family(encoder, ("cut", help), "protocol", values)?;
    let help = "Requests and opaque connections that the app broke off";
    let values = by_protocol(&snapshot.broken).map(counter);
    family(encoder, ("broken", help), "protocol", values)
}

fn turned_opaque(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Connections that became opaque after they had carried requests, by the reason";
    let number = |odd| snapshot.turned_opaque.get(&odd).copied().unwrap_or(0);
    let values = Odd::ALL.map(|odd| (odd.as_str(), ConstCounter::new(number(odd))));
    family(encoder, ("turned_opaque", help), "reason", values)
}

fn drains(encoder: &mut DescriptorEncoder<'_>, published: &Published) -> fmt::Result {
    let help = "Drains that ended, by outcome";
    let counter = |(word, number): (&&'static str, &u64)| (*word, ConstCounter::new(*number));
    let values = published.drains.iter().map(counter);
    family(encoder, ("drains", help), "outcome", values)
}

fn by_protocol(numbers: &BTreeMap<Protocol, u64>) -> [(&'static str, u64); Protocol::ALL.len()] {
    let number = |protocol| numbers.get(&protocol).copied().unwrap_or(0);
    Protocol::ALL.map(|protocol| (protocol.as_str(), number(protocol)))
}

fn family<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, M)>,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    let Some((_, first)) = values.peek() else {
        return Ok(());
    };
    let mut metric = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (word, value) in values {
        value.encode(metric.encode_family(&[(label, word)])?)?;
    }
    Ok(())
}

fn gauge(number: impl Into<u64>) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(number.into()).unwrap_or(i64::MAX))
}
