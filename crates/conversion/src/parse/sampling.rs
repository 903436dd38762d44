//! Exact sampling: of any run of records, the kept share differs from the rate by less than one
//! record, and which ones are kept is random.

use kafkamq_settings::SamplingKey;

/// Decides which records of a topic are kept.
#[derive(Debug)]
pub struct Sampler {
    rate: f64,
    key: SamplingKey,
    /// Expected number of kept records so far.
    position: f64,
    /// The next record whose interval of expectation holds this is kept.
    threshold: f64,
    rng: fastrand::Rng,
}

impl Sampler {
    /// A sampler that keeps `rate` (0 to 1) of the records.
    #[must_use]
    pub fn new(rate: f64, key: SamplingKey, mut rng: fastrand::Rng) -> Self {
        let threshold = rng.f64();
        Self {
            rate,
            key,
            position: 0.0,
            threshold,
            rng,
        }
    }

    /// Whether a record with this key is kept.
    #[inline]
    pub fn keeps(&mut self, key: Option<&[u8]>) -> bool {
        match (self.key, key) {
            // The same on every member of the group and after every restart.
            (SamplingKey::Key, Some(key)) => (hash(key) as f64) < self.rate * u64::MAX as f64,
            _ => self.keeps_next(),
        }
    }

    /// One record is kept in each unit of expectation, at a random place within it.
    fn keeps_next(&mut self) -> bool {
        let kept = self.threshold < self.position + self.rate;
        self.position += self.rate;
        if kept {
            self.threshold = self.threshold.floor() + 1.0 + self.rng.f64();
        }
        if self.position > 1e6 {
            let whole = self.position.floor();
            self.position -= whole;
            self.threshold -= whole;
        }
        kept
    }
}

/// FNV-1a with a final mix, fixed for all time: members of a group must agree.
fn hash(key: &[u8]) -> u64 {
    let fnv = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_share_is_exact_over_any_run(rate in 0.0001f64..0.9999, seed in any::<u64>()) {
            let rng = fastrand::Rng::with_seed(seed);
            let mut sampler = Sampler::new(rate, SamplingKey::Record, rng);
            let records = 50_000;
            let kept = (0..records).filter(|_| sampler.keeps(None)).count();
            let expected = f64::from(records) * rate;
            prop_assert!((kept as f64 - expected).abs() <= 1.5, "{kept} of {expected}");
        }
    }

    #[test]
    fn records_of_one_key_are_kept_or_dropped_together() {
        let mut sampler = Sampler::new(0.3, SamplingKey::Key, fastrand::Rng::with_seed(1));
        let mut kept = 0;
        for trace in 0..10_000u32 {
            let key = format!("trace-{trace}");
            let first = sampler.keeps(Some(key.as_bytes()));
            assert_eq!(first, sampler.keeps(Some(key.as_bytes())));
            kept += u32::from(first);
        }
        assert!((2_800..3_200).contains(&kept), "{kept}");
    }
}
