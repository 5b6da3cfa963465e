//! What the webhook counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// What the webhook counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    reviews: Family<[(&'static str, &'static str); 1], Counter>,
    seconds: Histogram,
}

// === impl Metrics ===

impl Metrics {
    /// Registers them in a registry of the webhook's own.
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            reviews: Family::default(),
            // From 50 microseconds to 0.8 seconds; a call is given up after 2.
            seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 15)),
        };
        registry.register(
            "reviews",
            "Pods that the API server asked about, by what came of it",
            metrics.reviews.clone(),
        );
        registry.register_with_unit(
            "review",
            "How long an answer took",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        metrics
    }

    /// Counts one review.
    pub(super) fn count(&self, outcome: &'static str, took: Duration) {
        self.reviews.get_or_create(&[("outcome", outcome)]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
