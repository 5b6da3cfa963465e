//! How long requests took, in bounded memory.

use std::time::Duration;

/// Buckets to each doubling of the time: a quantile is at most 1/32 above the truth.
const STEPS: usize = 32;
/// Doublings: up to 2^36 microseconds, nineteen hours.
const DOUBLINGS: usize = 32;

/// Counts of durations. Below 32 microseconds buckets are a microsecond wide, above their width
/// doubles with each doubling of the time.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; STEPS * DOUBLINGS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
    }

    /// The duration that the given share of all durations does not exceed: the upper end of its
    /// bucket. Zero if nothing was counted.
    pub fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "counts are far below 2^52"
        )]
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return Duration::from_micros(upper_end(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(micros: u64) -> usize {
    let steps = STEPS as u64;
    if micros < steps {
        return usize::try_from(micros).unwrap_or(0);
    }
    // The position of the highest bit says which doubling, the five bits below it which step.
    let doubling = u64::from(micros.ilog2() - steps.ilog2());
    let index = (doubling + 1) * steps + (micros >> doubling) - steps;
    usize::try_from(index)
        .unwrap_or(usize::MAX)
        .min(STEPS * DOUBLINGS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    match doubling {
        0 => step,
        _ => ((STEPS as u64 + step + 1) << (doubling - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every duration lies in its bucket, and no bucket is wider than 1/32 of what is in it.
    #[test]
    fn buckets_are_exact_to_a_thirty_second() {
        let mut micros = 0_u64;
        while micros < 1 << 36 {
            let upper = upper_end(bucket(micros));
            assert!(
                upper >= micros,
                "{micros} is above its bucket's end {upper}"
            );
            assert!(
                upper - micros <= micros / 32,
                "{micros} is too far below {upper}"
            );
            micros += micros / 7 + 1;
        }
        assert_eq!(bucket(u64::MAX), STEPS * DOUBLINGS - 1);
    }

    /// Quantiles count from the short end, and nothing counted is zero.
    #[test]
    fn quantiles_count_from_the_short_end() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for _ in 0..99 {
            histogram.record(Duration::from_micros(10));
        }
        histogram.record(Duration::from_secs(1));
        assert_eq!(histogram.quantile(0.5), Duration::from_micros(10));
        assert_eq!(histogram.quantile(0.99), Duration::from_micros(10));
        assert!(histogram.quantile(1.0) >= Duration::from_secs(1));
    }
}
