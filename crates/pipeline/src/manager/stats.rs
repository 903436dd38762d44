//! How a script fares: counts of runs, errors and drops, and the time they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::state::Outcome;

/// The counters of one script since the service started, kept over reloads.
#[derive(Debug, Default)]
pub struct ScriptStats {
    points: AtomicU64,
    errors: AtomicU64,
    drops: AtomicU64,
    nanos: AtomicU64,
}

/// Counts of some runs that are not added to a script's counters yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs, each on one point.
    pub points: u64,
    /// Runs that stopped with an error.
    pub errors: u64,
    /// Points a script dropped; a point whose run failed is kept and does not count.
    pub drops: u64,
    /// The time all runs took.
    pub time: Duration,
}

impl Tally {
    /// Counts one run.
    pub fn count(&mut self, outcome: &Outcome, time: Duration) {
        self.points += 1;
        self.time += time;
        if outcome.error.is_some() {
            self.errors += 1;
        } else if outcome.dropped {
            self.drops += 1;
        }
    }
}

impl ScriptStats {
    /// Adds the counts of some runs.
    pub fn add(&self, tally: &Tally) {
        let nanos = u64::try_from(tally.time.as_nanos()).unwrap_or(u64::MAX);
        for (counter, count) in [
            (&self.points, tally.points),
            (&self.errors, tally.errors),
            (&self.drops, tally.drops),
            (&self.nanos, nanos),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// The counts so far. Counters that are written meanwhile may be from a moment later.
    #[must_use]
    pub fn total(&self) -> Tally {
        Tally {
            points: self.points.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            drops: self.drops.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}
