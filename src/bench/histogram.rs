//! A histogram of latencies with a relative error below 2 %.

/// Steps within each power of two.
const STEPS: u64 = 64;
/// Enough for every number of microseconds up to some hours.
const BUCKETS: usize = 64 * 30;

/// Microseconds, counted by magnitude.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Notes one latency.
    pub(super) fn note(&mut self, micros: u64) {
        let at = bucket(micros).min(BUCKETS - 1);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The latency, in microseconds, that `share` (0 to 1) of those noted do not exceed.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(at);
            }
        }
        0
    }

    /// How many were noted.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }
}

/// Exact below 128, then 64 buckets for each power of two.
fn bucket(micros: u64) -> usize {
    let magnitude = u64::from(micros.max(1).ilog2()).saturating_sub(STEPS.ilog2().into());
    (magnitude * STEPS + (micros >> magnitude)) as usize
}

/// The largest number of bucket `at`.
fn upper(at: usize) -> u64 {
    let at = at as u64;
    let magnitude = (at / STEPS).saturating_sub(1);
    let step = at - magnitude * STEPS;
    ((step + 1) << magnitude) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_single_latency_is_found_again(micros in 0u64..10_000_000_000) {
            let mut histogram = Histogram::default();
            histogram.note(micros);
            let found = histogram.quantile(0.5);
            prop_assert!(found >= micros && found - micros <= micros / 50 + 1, "{found} for {micros}");
        }
    }

    #[test]
    fn quantiles_part_what_was_noted() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|micros| histogram.note(micros));
        assert_eq!(histogram.total(), 1000);
        let quantiles = [0.5, 0.99, 0.999, 1.0].map(|share| histogram.quantile(share));
        assert_eq!(quantiles, [503, 991, 999, 1007]);
    }
}
