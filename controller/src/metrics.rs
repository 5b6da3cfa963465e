//! What Prometheus can ask the controller. No label names an object: there are too many of them.

use ebb_api::phase::Outcome;
use ebb_api::status::Counts;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;

/// Declares the metrics: a field each, the name and the help that it is registered with, and how it
/// begins.
macro_rules! metrics {
    ($($field:ident: $kind:ty = $start:expr, $name:literal, $help:literal;)+) => {
        /// The controller's metrics.
        #[derive(Debug)]
        pub struct Metrics {
            $(#[doc = concat!($help, ".")] pub $field: $kind,)+
        }

        impl Metrics {
            /// Makes the metrics and registers them.
            pub fn register(registry: &mut Registry) -> Metrics {
                let metrics = Metrics { $($field: $start,)+ };
                $(registry.register($name, $help, metrics.$field.clone());)+
                // Both are there from the start: an alert on a series that does not exist never
                // fires.
                metrics.targets(0, 0);
                metrics
            }
        }
    };
}

metrics! {
    leader: Gauge = Gauge::default(),
        "leader", "Whether this replica leads (1), or stands by to take over (0)";
    terms: Counter = Counter::default(),
        "terms", "How often this replica has become the leader";
    sidecars: Gauge = Gauge::default(),
        "sidecars", "Sidecars that the controller speaks to";
    puts: Counter = Counter::default(),
        "signals", "Desired states that sidecars have taken";
    put_failures: Counter = Counter::default(),
        "signal_failures", "Attempts to tell a sidecar that came to nothing";
    // 1 ms to 16 s.
    put_seconds: Histogram = Histogram::new(exponential_buckets(0.001, 2.0, 15)),
        "signal_seconds", "Time from seeing a deletion until the sidecar was told";
    targets: Family<TargetLabels, Gauge> = Family::default(),
        "targets", "Pods that a policy selects and that are not leaving";
    drains: Family<DrainLabels, Counter> = Family::default(),
        "drains", "Drains that ended";
    connections_cut: Counter = Counter::default(),
        "connections_cut", "Requests and connections cut at the end of a drain";
    connections_broken: Counter = Counter::default(),
        "connections_broken", "Requests and connections that apps broke off during a drain";
    connections_abandoned: Counter = Counter::default(),
        "connections_abandoned",
        "Requests and connections in flight when Ebb stood aside in the middle of a drain";
    status_writes: Counter = Counter::default(),
        "status_writes", "Writes of a policy's status";
    writes_failed: Counter = Counter::default(),
        "write_failures", "Writes of status and Events that failed";
    events: Counter = Counter::default(),
        "events", "Events written";
    events_dropped: Counter = Counter::default(),
        "events_dropped", "Events left out because too many were waiting";
}

/// Whether pods can drain, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TargetLabels {
    /// Whether they can.
    pub state: TargetState,
}

/// Whether a pod can drain as its policy asks; spelled as in a policy's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum TargetState {
    /// It can.
    Protected,
    /// It can't; the condition Protected of its policy says why.
    Unprotected,
}

/// How a drain ended, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DrainLabels {
    /// How.
    pub outcome: OutcomeLabel,
}

/// An outcome, spelled as everywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeLabel(pub Outcome);

impl EncodeLabelValue for OutcomeLabel {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

impl Metrics {
    /// Takes note of how many pods can drain as their policies ask, and how many can't.
    pub fn targets(&self, protected: u64, unprotected: u64) {
        for (state, count) in [
            (TargetState::Protected, protected),
            (TargetState::Unprotected, unprotected),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.targets
                .get_or_create(&TargetLabels { state })
                .set(count);
        }
    }

    /// Takes note that this replica leads no longer: what is the case now, another one says.
    pub fn leads_no_longer(&self) {
        self.leader.set(0);
        self.sidecars.set(0);
        self.targets(0, 0);
    }

    /// Counts a drain that has ended.
    pub fn ended(&self, outcome: Outcome, counts: Counts) {
        let outcome = OutcomeLabel(outcome);
        self.drains.get_or_create(&DrainLabels { outcome }).inc();
        self.connections_cut.inc_by(counts.cut);
        self.connections_broken.inc_by(counts.broken);
        self.connections_abandoned.inc_by(counts.abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    /// Both states are there before the first policy is: an alert on a series that is not there
    /// would never fire.
    #[test]
    fn targets_are_counted_by_state() {
        let mut registry = Registry::with_prefix("ebb_controller");
        let metrics = Metrics::register(&mut registry);
        let line = |line: &str| {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            assert!(text.lines().any(|it| it == line), "{text}");
        };
        line(r#"ebb_controller_targets{state="Protected"} 0"#);
        metrics.targets(12, 3);
        line(r#"ebb_controller_targets{state="Protected"} 12"#);
        line(r#"ebb_controller_targets{state="Unprotected"} 3"#);
    }
}
