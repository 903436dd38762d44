//! Rate limits for each record key, which let the records of a key wait without dropping them and
//! without holding up those of others.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use kafkamq_record::RecordBatch;

/// How much of its rate a key may use ahead: it begins with a second's worth.
const AHEAD: Duration = Duration::from_secs(1);
/// From so many keys on, keys that are below their rate again are removed before others are added.
const REMEMBERED: usize = 10_000;

/// Records per second for each key of one partition. Records without a key are not limited.
#[derive(Debug)]
pub(crate) struct KeyLimit {
    interval: Duration,
    /// By hash of the key: when its share is used up to.
    used: HashMap<u64, Instant>,
    forget_at: usize,
    hasher: RandomState,
}

impl KeyLimit {
    /// A limit of `rate` records per second, or `None` for no limit.
    #[must_use]
    pub(crate) fn new(rate: Option<u64>) -> Option<Self> {
        let rate = rate.filter(|&rate| rate > 0)?;
        Some(Self {
            interval: Duration::from_secs(1).div_f64(rate as f64),
            used: HashMap::new(),
            forget_at: REMEMBERED,
            hasher: RandomState::new(),
        })
    }

    /// Cuts a batch into runs that may go on now (`None`) or at a moment. Of one key, no record may
    /// go on before an earlier one.
    pub(crate) fn cut(
        &mut self,
        batch: &RecordBatch,
        now: Instant,
    ) -> Vec<(Range<usize>, Option<Instant>)> {
        if self.used.len() >= self.forget_at {
            self.used.retain(|_, used| *used > now);
            self.forget_at = (self.used.len() * 2).max(REMEMBERED);
        }
        let mut runs: Vec<(Range<usize>, Option<Instant>)> = Vec::new();
        for (index, record) in batch.iter().enumerate() {
            let due = record.key().and_then(|key| self.take(key, now));
            match runs.last_mut() {
                Some((run, last)) if *last == due => run.end = index + 1,
                _ => runs.push((index..index + 1, due)),
            }
        }
        runs
    }

    /// Takes one record of a key; returns when it may go on, if that is later than now.
    fn take(&mut self, key: &[u8], now: Instant) -> Option<Instant> {
        let used = self.used.entry(self.hasher.hash_one(key)).or_insert(now);
        let from = (*used).max(now);
        *used = from + self.interval;
        from.checked_sub(AHEAD).filter(|due| *due > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_record::{RecordBatchBuilder, TopicPartition};

    fn batch(keys: &[Option<&str>]) -> RecordBatch {
        let mut builder = RecordBatchBuilder::with_capacity(TopicPartition::new("t", 0), 1, 0);
        for (offset, key) in (0..).zip(keys) {
            builder.push(offset, -1, key.map(str::as_bytes), Some(b"v"));
        }
        builder.build()
    }

    #[test]
    fn a_busy_key_waits_and_the_others_go_on() {
        let mut limit = KeyLimit::new(Some(2)).unwrap();
        let now = Instant::now();
        let busy = Some("busy");
        let keys = [busy, busy, busy, None, Some("calm"), busy, None];
        let ms = |due: Option<Instant>| due.map(|due| (due - now).as_millis());
        let runs: Vec<_> = limit
            .cut(&batch(&keys), now)
            .into_iter()
            .map(|(run, due)| (run, ms(due)))
            .collect();
        // A second's worth ahead, which includes the record at its end; then two a second.
        assert_eq!(runs, [(0..5, None), (5..6, Some(500)), (6..7, None)],);
        let later = limit.cut(&batch(&[busy]), now + Duration::from_secs(60));
        assert_eq!(later, [(0..1, None)], "what was waited for is over");
        assert!(KeyLimit::new(Some(0)).is_none() && KeyLimit::new(None).is_none());
    }

    #[test]
    fn a_key_never_overtakes_itself_and_keeps_its_rate() {
        let mut limit = KeyLimit::new(Some(100)).unwrap();
        let start = Instant::now();
        let mut dues = Vec::new();
        for step in 0..100u64 {
            let now = start + Duration::from_millis(step);
            for (run, due) in limit.cut(&batch(&[Some("k"); 10]), now) {
                dues.extend(run.map(|_| due.unwrap_or(now)));
            }
        }
        assert!(dues.is_sorted());
        let took = dues[dues.len() - 1] - start;
        // A thousand records at a hundred a second, one second's worth ahead.
        assert!((8_900..=9_000).contains(&took.as_millis()), "{took:?}");
    }

    #[test]
    fn keys_whose_turn_is_over_are_forgotten() {
        let mut limit = KeyLimit::new(Some(1000)).unwrap();
        let start = Instant::now();
        for key in 0..50_000u64 {
            let name = key.to_string();
            limit.cut(&batch(&[Some(&name)]), start + Duration::from_millis(key));
        }
        assert!(limit.used.len() <= REMEMBERED + 1, "{}", limit.used.len());
    }
}
