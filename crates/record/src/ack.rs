//! The acknowledgement that travels inside every piece of work.
//!
//! A batch of records is *open* until each of its records is settled: delivered, dropped by an
//! explicit rule, or written to the dead letters. Saying so is always an explicit call. A piece of
//! work that disappears without saying so (an actor crashed, a mailbox was dropped) takes its
//! [`AckShare`] with it, and when the last share of a batch is gone while records are open, the
//! owner hears [`Resolution::Incomplete`] and sends those records again. So nothing can be settled
//! by forgetting it.

use std::fmt;
use std::sync::Arc;

use crate::accounts::PartitionAccounts;
use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Every record is settled.
    Settled,
    /// All shares are gone and some records are still open; they have to be sent again.
    Incomplete,
    /// The same, but it was not being worked on alone: whoever had it failed on something else.
    Untouched,
    /// The same, but by intention: work was called back because the configuration changed under it.
    /// Nothing failed.
    Recalled,
}

/// Told exactly once how a batch ended; runs on whichever thread settled or dropped last.
pub(crate) type OnResolved = Box<dyn Fn(Resolution) + Send + Sync>;

/// What the batches of one assignment of a partition share with their owner.
#[derive(Debug, Default)]
pub struct Assignment {
    cancelled: AtomicBool,
    accounts: PartitionAccounts,
}

impl Assignment {
    /// An assignment whose work is charged to `accounts`.
    #[must_use]
    pub fn new(accounts: PartitionAccounts) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            accounts,
        }
    }

    /// States that the partition was taken away: further work for it is useless.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether the partition was taken away.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// What its work in flight is charged to.
    #[must_use]
    pub(crate) const fn accounts(&self) -> &PartitionAccounts {
        &self.accounts
    }
}

/// The owner's view of a batch's acknowledgement.
pub struct BatchAck {
    /// Open obligations per record. A record begins with one and gains one for each further item
    /// made from it.
    open: Box<[AtomicU32]>,
    /// Records that have open obligations.
    unsettled: AtomicU32,
    shares: AtomicU32,
    resolved: AtomicBool,
    assignment: Arc<Assignment>,
    recalled: AtomicBool,
    /// How many work on it.
    at_work: AtomicU32,
    on_resolved: OnResolved,
}

impl fmt::Debug for BatchAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchAck")
            .field("records", &self.open.len())
            .field("unsettled", &self.unsettled.load(Ordering::Relaxed))
            .field("shares", &self.shares.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl BatchAck {
    /// Opens the acknowledgement of a batch of `records` records and returns it with its first
    /// share.
    pub fn open(
        records: usize,
        assignment: Arc<Assignment>,
        on_resolved: OnResolved,
    ) -> (Arc<Self>, AckShare) {
        let ack = Arc::new(Self {
            open: (0..records).map(|_| AtomicU32::new(1)).collect(),
            unsettled: AtomicU32::new(u32::try_from(records).unwrap_or(u32::MAX)),
            shares: AtomicU32::new(1),
            resolved: AtomicBool::new(false),
            recalled: AtomicBool::new(false),
            at_work: AtomicU32::new(0),
            assignment,
            on_resolved,
        });
        let share = AckShare {
            ack: Arc::clone(&ack),
        };
        if records == 0 {
            ack.resolve(Resolution::Settled);
        }
        (ack, share)
    }

    /// Whether the record at `index` is settled.
    #[must_use]
    pub fn is_settled(&self, index: usize) -> bool {
        self.open
            .get(index)
            .is_none_or(|open| open.load(Ordering::Acquire) == 0)
    }

    /// Index of the first record that is not settled; the batch's length when all are.
    #[must_use]
    pub fn settled_prefix(&self) -> usize {
        (0..self.open.len())
            .find(|&index| !self.is_settled(index))
            .unwrap_or(self.open.len())
    }

    fn resolve(&self, resolution: Resolution) {
        if !self.resolved.swap(true, Ordering::AcqRel) {
            (self.on_resolved)(resolution);
        }
    }
}

/// One holder's part in a batch's acknowledgement.
#[must_use = "dropping the last share sends the batch's open records again"]
pub struct AckShare {
    ack: Arc<BatchAck>,
}

impl fmt::Debug for AckShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ack.fmt(f)
    }
}

impl AckShare {
    /// A further share of the same batch.
    pub fn share(&self) -> Self {
        self.ack.shares.fetch_add(1, Ordering::Relaxed);
        Self {
            ack: Arc::clone(&self.ack),
        }
    }

    /// States that the record at `index` became `items` items (at least one), each to be settled.
    pub fn expect_items(&self, index: u32, items: u32) {
        if items > 1
            && let Some(open) = self.ack.open.get(index as usize)
        {
            open.fetch_add(items - 1, Ordering::AcqRel);
        }
    }

    /// Settles one item of the record at `index`. Returns whether that was its last item, so that
    /// the record is settled now.
    pub fn settle(&self, index: u32) -> bool {
        self.settle_all(std::iter::once(index)) == 1
    }

    /// Settles one item of each of the records at `indexes`, which may repeat. Returns how many
    /// records are settled now that were not before.
    pub fn settle_all(&self, indexes: impl Iterator<Item = u32>) -> u32 {
        let mut settled = 0;
        for index in indexes {
            settled += u32::from(self.close(index));
        }
        if settled > 0 && self.ack.unsettled.fetch_sub(settled, Ordering::AcqRel) == settled {
            self.ack.resolve(Resolution::Settled);
        }
        settled
    }

    /// Takes one obligation off the record at `index`; whether that was the last.
    fn close(&self, index: u32) -> bool {
        let Some(open) = self.ack.open.get(index as usize) else {
            return false;
        };
        // A second settling of the same item would be a defect; it must not wrap and reopen.
        let before = open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        debug_assert!(
            before.is_ok(),
            "record {index} settled more often than it had items"
        );
        before == Ok(1)
    }

    /// The accounts of the partition, to which what is made of the batch is charged.
    #[must_use]
    pub fn accounts(&self) -> &PartitionAccounts {
        self.ack.assignment.accounts()
    }

    /// States that somebody works on the batch now and on nothing else, so that dropping it is a failure of
    /// its own. Who holds work of many batches does not say so: what it dies of tells nothing about
    /// each of them.
    pub fn begin(&self) {
        self.ack.at_work.fetch_add(1, Ordering::AcqRel);
    }

    /// States that who said [`begin`](Self::begin) does not work on the batch at present.
    pub fn rest(&self) {
        self.ack.at_work.fetch_sub(1, Ordering::AcqRel);
    }

    /// States that this work is given back on purpose, so that dropping it is not a failure. What
    /// is open when the last share is dropped is sent again at once, by the routes in force then.
    pub fn recall(&self) {
        self.ack.recalled.store(true, Ordering::Release);
    }

    /// Whether the partition was taken away meanwhile, so that further work for it is useless.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.ack.assignment.is_cancelled()
    }
}

impl Drop for AckShare {
    fn drop(&mut self) {
        if self.ack.shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            let unsettled = self.ack.unsettled.load(Ordering::Acquire) as usize;
            let begun = self.ack.at_work.load(Ordering::Acquire) > 0;
            self.ack.resolve(if unsettled == 0 {
                Resolution::Settled
            } else if self.ack.recalled.load(Ordering::Acquire) {
                Resolution::Recalled
            } else if begun {
                Resolution::Incomplete
            } else {
                Resolution::Untouched
            });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;

    use proptest::prelude::*;

    use super::*;

    fn open(records: usize) -> (Arc<BatchAck>, AckShare, mpsc::Receiver<Resolution>) {
        let (told, resolutions) = mpsc::channel();
        let (ack, share) = BatchAck::open(
            records,
            Arc::default(),
            Box::new(move |resolution| told.send(resolution).unwrap()),
        );
        (ack, share, resolutions)
    }

    #[test]
    fn a_dropped_share_means_incomplete_never_settled() {
        let (ack, share, resolutions) = open(2);
        share.begin();
        share.settle(0);
        drop(share);
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Incomplete));
        assert_eq!(ack.settled_prefix(), 1);
        assert!(!ack.is_settled(1));
    }

    #[test]
    fn recalled_work_has_not_failed_and_is_not_settled() {
        let (ack, share, resolutions) = open(2);
        let other = share.share();
        share.settle(0);
        other.recall();
        drop(other);
        assert!(resolutions.try_recv().is_err());
        drop(share);
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Recalled));
        assert!(!ack.is_settled(1));
    }

    #[test]
    fn work_that_nobody_was_at_did_not_fail() {
        let (_ack, share, resolutions) = open(2);
        share.begin();
        share.rest();
        drop(share);
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Untouched));
        let (_ack, share, resolutions) = open(2);
        share.begin();
        drop(share);
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Incomplete));
    }

    #[test]
    fn settled_is_told_once_even_when_shares_outlive_it() {
        let (_ack, share, resolutions) = open(1);
        let other = share.share();
        other.settle(0);
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Settled));
        drop(share);
        drop(other);
        assert!(resolutions.try_recv().is_err());
    }

    #[test]
    fn an_empty_batch_is_settled_at_once() {
        let (_ack, _share, resolutions) = open(0);
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Settled));
    }

    #[test]
    fn a_crash_that_unwinds_resends() {
        let (_ack, share, resolutions) = open(1);
        share.begin();
        let crashed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = share;
            panic!("an actor died");
        }));
        assert!(crashed.is_err());
        assert_eq!(resolutions.try_recv(), Ok(Resolution::Incomplete));
    }

    proptest! {
        /// Whatever the order in which items settle, a batch resolves as settled exactly when the
        /// last item of the last record did.
        #[test]
        fn resolves_with_the_last_item(
            items in prop::collection::vec(1u32..4, 1..20),
            seed in any::<u64>(),
        ) {
            let (ack, share, resolutions) = open(items.len());
            let mut pending = Vec::new();
            for (index, &count) in (0u32..).zip(&items) {
                share.expect_items(index, count);
                pending.extend((0..count).map(|_| index));
            }
            fastrand::Rng::with_seed(seed).shuffle(&mut pending);
            while let Some(index) = pending.pop() {
                prop_assert!(resolutions.try_recv().is_err());
                prop_assert_eq!(share.settle(index), !pending.contains(&index));
                prop_assert_eq!(ack.is_settled(index as usize), !pending.contains(&index));
            }
            prop_assert_eq!(resolutions.try_recv(), Ok(Resolution::Settled));
            prop_assert_eq!(ack.settled_prefix(), items.len());
        }
    }
}
