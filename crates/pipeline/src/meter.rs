//! The meter of a run: what it may do, counted in units and bounded by the clock.
//!
//! One unit stands for 64 bytes that were touched, or for one statement, loop round or call. Counting
//! is exact and the same each time; the clock is only the second line, read once in
//! [`PORTION`] units. Who works on a text pays for it: the reads and writes of the run context do so
//! on their own, a function whose work is more than one pass over its input pays the rest itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Bytes that make a unit.
pub(crate) const BYTES_PER_UNIT: usize = 64;

/// Units between two looks at the clock: often enough to notice the end, seldom enough to cost nothing.
pub(crate) const PORTION: u64 = 4096;

/// What was used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    /// More units of work than the limit.
    #[error("the budget of work is used up")]
    Work,
    /// More time than the limit, waiting for `http_request` not counted.
    #[error("the budget of time is used up")]
    Time,
}

/// Counts the work of one run. Everything works through a shared reference, so that a function can
/// pay while it looks at a text of the point.
#[derive(Debug, Default)]
pub struct Meter {
    /// Units until the clock is looked at again; negative where more was taken than was there.
    left: Cell<i64>,
    /// Units beyond those.
    reserve: Cell<u64>,
    /// The units of the whole run.
    budget: Cell<u64>,
    /// When the clock was looked at first; short runs never look.
    started: Cell<Option<Instant>>,
    time: Cell<Duration>,
    waited: Cell<Duration>,
}

impl Meter {
    /// A meter with this much to spend; for runs, and for callers of the text engines on their own.
    #[must_use]
    pub fn new(units: u64, time: Duration) -> Self {
        let meter = Self::default();
        meter.start(units, time);
        meter
    }

    /// A meter that never ends.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::new(u64::MAX, Duration::MAX)
    }

    pub(crate) fn start(&self, units: u64, time: Duration) {
        // Differences of the two have to fit into an `i64`.
        let units = units.min(i64::MAX as u64 / 2);
        // The first portion is handed out without a look at the clock.
        let portion = units.min(PORTION);
        self.left.set(portion as i64);
        self.reserve.set(units - portion);
        self.budget.set(units);
        self.started.set(None);
        self.time.set(time);
        self.waited.set(Duration::ZERO);
    }

    /// Takes one unit.
    ///
    /// # Errors
    /// When the budget is used up.
    #[inline]
    pub(crate) fn one(&self) -> Result<(), Spent> {
        let left = self.left.get() - 1;
        self.left.set(left);
        if left < 0 { self.settle() } else { Ok(()) }
    }

    /// Takes units.
    ///
    /// # Errors
    /// When the budget is used up.
    #[inline]
    pub(crate) fn pay(&self, units: u64) -> Result<(), Spent> {
        let units = i64::try_from(units).unwrap_or(i64::MAX / 2);
        let left = self.left.get().saturating_sub(units);
        self.left.set(left);
        if left < 0 { self.settle() } else { Ok(()) }
    }

    /// Pays for one pass over some bytes, and one unit for coming.
    ///
    /// # Errors
    /// When the budget is used up.
    #[inline]
    pub(crate) fn pass(&self, bytes: usize) -> Result<(), Spent> {
        self.pay(1 + (bytes / BYTES_PER_UNIT) as u64)
    }

    /// Notes one pass over some bytes. What is too much shows at the next payment.
    #[inline]
    pub(crate) fn note(&self, bytes: usize) {
        if bytes >= BYTES_PER_UNIT {
            let units = (bytes / BYTES_PER_UNIT) as i64;
            self.left.set(self.left.get().saturating_sub(units));
        }
    }

    /// Uses everything up, because going on would take too much of something else.
    #[cold]
    pub(crate) fn exhaust(&self) {
        self.left.set(i64::MIN / 2);
    }

    /// Notes units. What is too much shows at the next payment.
    pub(crate) fn note_units(&self, units: usize) {
        let units = i64::try_from(units).unwrap_or(i64::MAX / 2);
        self.left.set(self.left.get().saturating_sub(units));
    }

    /// Whether more was noted than the portion holds.
    #[inline]
    pub(crate) fn in_debt(&self) -> bool {
        self.left.get() < 0
    }

    /// Looks at the clock, whatever is left of the portion; for a call into something that cannot be
    /// stopped and took long for its units.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(crate) fn look(&self) -> Result<(), Spent> {
        if self.started.get().is_none() {
            self.started.set(Some(Instant::now()));
        }
        self.settle()
    }

    /// Runs something that waits for others; the time it takes does not count.
    pub(crate) fn waiting<R>(&self, wait: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let result = wait();
        let waited = begun.elapsed();
        if let Some(started) = self.started.get() {
            self.started.set(started.checked_add(waited));
        }
        self.waited.set(self.waited.get() + waited);
        result
    }

    /// How long the run has waited for others.
    pub(crate) fn waited(&self) -> Duration {
        self.waited.get()
    }

    /// The units taken so far.
    #[must_use]
    pub(crate) fn used(&self) -> u64 {
        // The budget is at most half of an `i64`.
        let taken = self.budget.get().wrapping_sub(self.reserve.get());
        taken.saturating_add_signed(self.left.get().saturating_neg())
    }

    /// Makes good what was taken beyond the portion, looks at the clock and hands out the next one.
    #[cold]
    #[inline(never)]
    fn settle(&self) -> Result<(), Spent> {
        let total = i128::from(self.reserve.get()) + i128::from(self.left.get());
        let late = match self.started.get() {
            Some(started) => started.elapsed() > self.time.get(),
            None => {
                self.started.set(Some(Instant::now()));
                false
            }
        };
        let total = match u64::try_from(total) {
            Ok(total) if !late => total,
            _ => {
                let spent = if late { Spent::Time } else { Spent::Work };
                if late {
                    // What was not used is not to count as used.
                    self.budget.set(self.used());
                }
                // Stays spent: every further payment fails as well.
                self.reserve.set(0);
                self.left.set(-1);
                return Err(spent);
            }
        };
        let portion = total.min(PORTION);
        self.left.set(i64::try_from(portion).unwrap_or(0));
        self.reserve.set(total - portion);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_exactly_across_portions() {
        let meter = Meter::new(20_000, Duration::MAX);
        for _ in 0..10_000 {
            meter.one().unwrap();
        }
        meter.pass(64 * 4999).unwrap();
        assert_eq!(meter.used(), 15_000);
        meter.note(64 * 5000);
        assert_eq!(meter.used(), 20_000);
        assert_eq!(meter.one(), Err(Spent::Work));
        assert_eq!(meter.one(), Err(Spent::Work));
    }

    #[test]
    fn what_was_noted_beyond_the_budget_shows_at_the_next_payment() {
        let meter = Meter::new(100, Duration::MAX);
        meter.note(1 << 30);
        assert_eq!(meter.pay(0), Err(Spent::Work));
    }

    #[test]
    fn the_clock_ends_a_run_and_waiting_does_not_count() {
        let meter = Meter::new(u64::MAX, Duration::ZERO);
        meter.one().unwrap();
        meter.look().unwrap_err();
        let patient = Meter::new(u64::MAX, Duration::from_secs(3600));
        patient.look().unwrap();
        let before = patient.started.get().unwrap();
        let long = Duration::from_nanos(1);
        patient.waiting(|| while Instant::now().duration_since(before) < long {});
        assert!(patient.started.get().unwrap() > before);
        assert!(patient.waited() > Duration::ZERO);
        patient.look().unwrap();
    }
}
