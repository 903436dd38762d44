//! Rate limits that block instead of dropping: Kafka holds what is over the limit.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Into how many reads a second's worth is cut.
const READS_A_SECOND: f64 = 20.0;

/// A bucket that refills at `rate` per second and holds two seconds' worth. It may be overdrawn by
/// one batch; the debt is waited for before the next.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    level: f64,
    refilled: Instant,
}

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        let rate = rate as f64;
        Self {
            rate,
            level: rate,
            refilled: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.level = (self.level + elapsed * self.rate).min(2.0 * self.rate);
        self.refilled = now;
    }

    fn wait(&mut self, now: Instant) -> Duration {
        self.refill(now);
        Duration::try_from_secs_f64((-self.level / self.rate).max(0.0)).unwrap_or(Duration::MAX)
    }
}

/// Records and bytes per second for everything that shares it.
#[derive(Debug)]
pub(crate) struct RateLimit {
    records: Option<Mutex<Bucket>>,
    bytes: Option<Mutex<Bucket>>,
}

impl RateLimit {
    /// A limit of records and of bytes per second, or `None` if neither is limited.
    #[must_use]
    pub(crate) fn new(records: Option<u64>, bytes: Option<u64>, now: Instant) -> Option<Self> {
        let bucket = |rate: Option<u64>| {
            rate.filter(|&rate| rate > 0)
                .map(|rate| Mutex::new(Bucket::new(rate, now)))
        };
        let limit = Self {
            records: bucket(records),
            bytes: bucket(bytes),
        };
        (limit.records.is_some() || limit.bytes.is_some()).then_some(limit)
    }

    /// How long to wait before reading more; `None` when reading may go on.
    #[must_use]
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let of = |bucket: &Option<Mutex<Bucket>>| bucket.as_ref().map(|b| b.lock().wait(now));
        of(&self.records)
            .max(of(&self.bytes))
            .filter(|wait| !wait.is_zero())
    }

    /// How many records one read should bring at most: a small part of a second's worth, so that
    /// what is limited flows evenly and not in bursts.
    #[must_use]
    pub(crate) fn most_records(&self) -> usize {
        self.records.as_ref().map_or(usize::MAX, |bucket| {
            ((bucket.lock().rate / READS_A_SECOND) as usize).max(1)
        })
    }

    /// Takes what was read.
    pub(crate) fn take(&self, records: u64, bytes: u64, now: Instant) {
        for (bucket, amount) in [(&self.records, records), (&self.bytes, bytes)] {
            if let Some(bucket) = bucket {
                let mut bucket = bucket.lock();
                bucket.refill(now);
                bucket.level -= amount as f64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_there_is_not_a_limit() {
        assert!(RateLimit::new(None, Some(0), Instant::now()).is_none());
    }

    #[test]
    fn a_reader_that_obeys_keeps_the_rate() {
        let start = Instant::now();
        let limit = RateLimit::new(Some(1000), None, start).unwrap();
        let mut now = start;
        let mut read = 0u64;
        while now < start + Duration::from_secs(60) {
            match limit.wait(now) {
                Some(wait) => now += wait,
                None => {
                    limit.take(700, 7_000_000, now);
                    read += 700;
                }
            }
        }
        // A minute's worth, the initial second, and one batch of debt.
        assert!((60_000..=61_700).contains(&read), "{read}");
    }

    #[test]
    fn a_read_is_a_small_part_of_a_seconds_worth() {
        let most = |records| {
            RateLimit::new(Some(records), Some(1), Instant::now())
                .unwrap()
                .most_records()
        };
        assert_eq!((most(1000), most(1)), (50, 1));
        let bytes = RateLimit::new(None, Some(1), Instant::now()).unwrap();
        assert_eq!(bytes.most_records(), usize::MAX);
    }

    #[test]
    fn the_scarcer_of_both_limits_decides() {
        let start = Instant::now();
        let limit = RateLimit::new(Some(1_000_000), Some(100), start).unwrap();
        limit.take(1, 400, start);
        assert_eq!(limit.wait(start), Some(Duration::from_secs(3)));
        assert_eq!(limit.wait(start + Duration::from_secs(3)), None);
    }
}
