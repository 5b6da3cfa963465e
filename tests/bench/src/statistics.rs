//! What was measured, and the one number that stands for several rounds.

use std::collections::BTreeMap;

use super::case::{Case, Metric};
use super::proxy::Proxy;

/// All measurements: one value for each round.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    rounds: BTreeMap<(Case, Proxy, Metric), Vec<f64>>,
}

// === impl Measurements ===

impl Measurements {
    /// Adds the value of one more round.
    pub fn add(&mut self, case: Case, proxy: Proxy, metric: Metric, value: f64) {
        self.rounds
            .entry((case, proxy, metric))
            .or_default()
            .push(value);
    }

    /// The median over the rounds: one round that something else disturbed does not move it.
    /// Latency is what the proxy adds, so each round's value without a proxy is taken away from it
    /// first; there is none where that was not measured.
    pub fn median(&self, case: Case, proxy: Proxy, metric: Metric) -> Option<f64> {
        let mut values = self.rounds.get(&(case, proxy, metric))?.clone();
        if case.is_latency() && proxy != Proxy::Direct {
            let direct = self.rounds.get(&(case, Proxy::Direct, metric))?;
            for (value, direct) in values.iter_mut().zip(direct) {
                *value -= direct;
            }
        }
        values.sort_by(f64::total_cmp);
        Some(median(&values))
    }

    /// The cases, proxies and metrics that were measured, in the order of the table.
    pub fn keys(&self) -> impl Iterator<Item = (Case, Proxy, Metric)> {
        self.rounds.keys().copied()
    }
}

/// How `value` stands to `peer`. There is none where noise has made one of them negative or zero.
pub fn ratio(value: f64, peer: f64) -> Option<f64> {
    (value > 0.0 && peer > 0.0).then(|| value / peer)
}

/// The value that the given share of the sorted values does not exceed; zero if there is none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a share of a length is an index"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

/// The middle of the sorted values, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted {
        [] => 0.0,
        _ if sorted.len() % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(case: Case, proxy: Proxy, metric: Metric, values: &[f64]) -> Measurements {
        let mut all = Measurements::default();
        for value in values {
            all.add(case, proxy, metric, *value);
        }
        all
    }

    /// One disturbed round does not move the result, whichever round it was.
    #[test]
    fn the_middle_round_counts() {
        let odd = measured(Case::Bulk, Proxy::Ebb, Metric::Cpu, &[99.0, 3.0, 2.0]);
        assert_eq!(odd.median(Case::Bulk, Proxy::Ebb, Metric::Cpu), Some(3.0));
        let even = measured(Case::Bulk, Proxy::Ebb, Metric::Cpu, &[4.0, 3.0]);
        assert_eq!(even.median(Case::Bulk, Proxy::Ebb, Metric::Cpu), Some(3.5));
        assert_eq!(even.median(Case::Bulk, Proxy::Ebb, Metric::P50), None);
    }

    /// Latency is what a proxy adds to the direct way of the same round.
    #[test]
    fn latency_is_what_is_added() {
        let mut all = measured(
            Case::Latency,
            Proxy::Ebb,
            Metric::P50,
            &[130.0, 250.0, 140.0],
        );
        assert_eq!(all.median(Case::Latency, Proxy::Ebb, Metric::P50), None);
        for direct in [100.0, 200.0, 100.0] {
            all.add(Case::Latency, Proxy::Direct, Metric::P50, direct);
        }
        assert_eq!(
            all.median(Case::Latency, Proxy::Ebb, Metric::P50),
            Some(40.0)
        );
        assert_eq!(
            all.median(Case::Latency, Proxy::Direct, Metric::P50),
            Some(100.0)
        );
    }

    /// 99 of 100 values do not exceed the last but one.
    #[test]
    fn quantiles_are_values_that_occurred() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&sorted, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((quantile(&sorted, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
    }

    /// What noise made negative is compared with nothing.
    #[test]
    fn there_is_no_ratio_to_noise() {
        assert_eq!(ratio(3.0, 2.0), Some(1.5));
        assert_eq!(ratio(3.0, -0.1), None);
        assert_eq!(ratio(-3.0, 2.0), None);
    }
}
