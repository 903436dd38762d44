//! Offsets of one assigned partition: what may be committed.
//!
//! The delivery contract in one sentence: an offset is stored for commit only when every record
//! below it is settled. [`OffsetTracker`] keeps the batches of one assignment in offset order and
//! moves a watermark over the contiguous prefix of settled ones.
//!
//! | batches, in offset order          | watermark           |
//! |-----------------------------------|---------------------|
//! | `[0,10) open`                     | none                |
//! | `[0,10) settled, [10,20) open`    | 10                  |
//! | `[0,10) open, [10,20) settled`    | none                |
//! | `[0,10) settled, [10,20) settled` | 20                  |
//!
//! Gaps between batches (compaction, transaction markers) hold no records and are passed over with
//! the batch that follows them.

use std::collections::{BTreeMap, VecDeque};

/// The offset a consumer would read next; this is what Kafka stores as the committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextOffset(pub i64);

/// Where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The offset of the next record.
    pub next: NextOffset,
    /// Leader epoch of the last record before it, by which the client notices that a log was
    /// truncated (KIP-320).
    pub epoch: Option<i32>,
}

impl Position {
    /// The position at `next` with an unknown epoch.
    #[must_use]
    pub const fn at(next: i64) -> Self {
        Self {
            next: NextOffset(next),
            epoch: None,
        }
    }

    /// The same, or `end` if that is lower. The epoch stays: it tells less than the one at `end` would,
    /// and nothing wrong.
    #[must_use]
    pub fn min(self, end: NextOffset) -> Self {
        Self {
            next: self.next.min(end),
            ..self
        }
    }
}

/// Leader epochs of the first and the last record of what was read at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epochs {
    /// Of the first record.
    pub first: Option<i32>,
    /// Of the last record.
    pub last: Option<i32>,
}

/// Names a batch within one assignment of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub u64);

#[derive(Debug)]
struct Entry {
    end: Position,
    settled: bool,
}

/// The contiguous watermark over the batches of one assignment.
#[derive(Debug, Default)]
pub struct OffsetTracker {
    entries: VecDeque<Entry>,
    /// Id of the entry at the front.
    front: u64,
    watermark: Option<Position>,
}

impl OffsetTracker {
    /// Registers the batch that ends before `end`, whose epoch is that of the batch's own last record:
    /// an epoch of another record would claim for this log what was read of another one. Batches are
    /// registered in the order in which they are read.
    pub fn begin(&mut self, end: Position) -> BatchId {
        self.entries.push_back(Entry {
            end,
            settled: false,
        });
        BatchId(self.front + self.entries.len() as u64 - 1)
    }

    /// Marks a batch as settled and returns the watermark if that moved it. An unknown or already
    /// settled batch changes nothing.
    pub fn settle(&mut self, id: BatchId) -> Option<Position> {
        let at = usize::try_from(id.0.checked_sub(self.front)?).ok()?;
        self.entries.get_mut(at)?.settled = true;
        let before = self.watermark;
        while self.entries.front().is_some_and(|entry| entry.settled) {
            self.watermark = self.entries.pop_front().map(|entry| entry.end);
            self.front += 1;
        }
        self.watermark.filter(|_| self.watermark != before)
    }

    /// Begins anew, for another log: what is open is tracked no more, and its ids are not given again.
    pub fn restart(&mut self) {
        self.front += self.entries.len() as u64;
        self.entries.clear();
        self.watermark = None;
    }

    /// The log ends at `end` now: offsets beyond it were taken back, and others will have them.
    pub fn retreat(&mut self, end: NextOffset) {
        for entry in &mut self.entries {
            entry.end = entry.end.min(end);
        }
        self.watermark = self.watermark.map(|watermark| watermark.min(end));
    }

    /// The oldest batch that is not settled.
    #[must_use]
    pub fn oldest_open(&self) -> Option<BatchId> {
        (!self.entries.is_empty()).then_some(BatchId(self.front))
    }

    /// Everything below this offset is settled; `None` until the first batch is.
    #[must_use]
    pub const fn watermark(&self) -> Option<Position> {
        self.watermark
    }
}

/// Records that are settled while no commit that covers them was confirmed yet: a crash now would
/// have them delivered again. Together with what is in flight they are the duplicates that one crash
/// can cause.
#[derive(Debug, Default)]
pub struct Uncommitted {
    /// Records of each settled batch, by the offset behind the batch.
    batches: BTreeMap<NextOffset, usize>,
    records: usize,
}

impl Uncommitted {
    /// Adds a settled batch of so many records that ends before `next`.
    pub fn settle(&mut self, next: NextOffset, records: usize) {
        self.records += records;
        *self.batches.entry(next).or_default() += records;
    }

    /// Takes away what the group now remembers: the broker confirmed a commit of `committed`.
    pub fn confirm(&mut self, committed: NextOffset) {
        while let Some(entry) = self.batches.first_entry() {
            if *entry.key() > committed {
                return;
            }
            self.records -= entry.remove();
        }
    }

    /// The log ends at `end` now; see [`OffsetTracker::retreat`].
    pub fn retreat(&mut self, end: NextOffset) {
        let beyond = self.batches.split_off(&end);
        let records: usize = beyond.into_values().sum();
        if records > 0 {
            self.batches.insert(end, records);
        }
    }

    /// How many records there are.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.records
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_taken_back_is_not_committed_and_what_is_open_below_it_is_waited_for() {
        let mut tracker = OffsetTracker::default();
        let [first, second, third] = [10, 20, 30].map(|next| tracker.begin(Position::at(next)));
        tracker.settle(first);
        tracker.retreat(NextOffset(15));
        let new = tracker.begin(Position::at(18));
        assert_eq!(tracker.settle(new), None, "older work is open");
        assert_eq!(tracker.settle(second), Some(Position::at(15)));
        assert_eq!(tracker.settle(third), Some(Position::at(18)));
        tracker.retreat(NextOffset(4));
        assert_eq!(tracker.watermark(), Some(Position::at(4)));
        let mut uncommitted = Uncommitted::default();
        for next in [10, 20, 30] {
            uncommitted.settle(NextOffset(next), 3);
        }
        uncommitted.retreat(NextOffset(15));
        uncommitted.confirm(NextOffset(14));
        assert_eq!(uncommitted.records(), 6);
        uncommitted.confirm(NextOffset(15));
        assert_eq!(uncommitted.records(), 0);
    }

    #[test]
    fn the_table_of_the_module_holds() {
        let mut tracker = OffsetTracker::default();
        let first = tracker.begin(Position::at(10));
        let second = tracker.begin(Position::at(20));
        assert_eq!(tracker.watermark(), None);
        assert_eq!(tracker.settle(second), None);
        assert_eq!(tracker.oldest_open(), Some(first));
        assert_eq!(tracker.settle(first), Some(Position::at(20)));
        assert_eq!(tracker.oldest_open(), None);
        assert_eq!(
            tracker.settle(first),
            None,
            "settling twice changes nothing"
        );
    }

    #[test]
    fn what_was_open_before_a_restart_settles_nothing_after_it() {
        let mut tracker = OffsetTracker::default();
        let old = tracker.begin(Position::at(500));
        tracker.restart();
        let new = tracker.begin(Position::at(5));
        assert_ne!(old, new);
        assert_eq!(tracker.settle(old), None);
        assert_eq!(tracker.settle(new), Some(Position::at(5)));
    }

    proptest! {
        /// In any order of settling, the watermark never passes an open batch and ends at the end.
        #[test]
        fn never_passes_an_open_batch(
            lengths in prop::collection::vec(1i64..50, 1..40),
            seed in any::<u64>(),
        ) {
            let mut tracker = OffsetTracker::default();
            let mut end = 0;
            let batches: Vec<_> = lengths.iter().map(|length| {
                end += length;
                (tracker.begin(Position::at(end)), end)
            }).collect();
            let mut order: Vec<_> = (0..batches.len()).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut order);
            let mut open: std::collections::BTreeSet<_> = order.iter().copied().collect();
            for at in order {
                open.remove(&at);
                tracker.settle(batches[at].0);
                let expected = match open.first() {
                    Some(0) => None,
                    Some(&first_open) => Some(Position::at(batches[first_open - 1].1)),
                    None => Some(Position::at(end)),
                };
                prop_assert_eq!(tracker.watermark(), expected);
            }
        }
    }

    #[test]
    fn only_a_confirmed_commit_takes_settled_records_away() {
        let mut uncommitted = Uncommitted::default();
        uncommitted.settle(NextOffset(20), 10);
        uncommitted.settle(NextOffset(10), 10);
        uncommitted.confirm(NextOffset(9));
        assert_eq!(uncommitted.records(), 20);
        uncommitted.confirm(NextOffset(15));
        assert_eq!(uncommitted.records(), 10, "the second batch ends above 15");
        uncommitted.confirm(NextOffset(10));
        assert_eq!(uncommitted.records(), 10, "an older answer changes nothing");
        uncommitted.confirm(NextOffset(20));
        assert_eq!(uncommitted.records(), 0);
    }
}
