//! A range of one partition that is read once, outside the group: from an offset up to another one
//! that was fixed before.
//!
//! It takes the place of the group's memory. What is settled is noted here instead of being committed,
//! so the group does not notice, and a client that has to be made anew goes on behind it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rdkafka::error::RDKafkaErrorCode;

use super::KafkaError;
use kafkamq_record::NextOffset;
use kafkamq_record::{RecordBatch, TopicPartition};

/// The offsets to read of one partition, and how far that is.
#[derive(Debug)]
pub(crate) struct ReplayRange {
    source: TopicPartition,
    offsets: Range<i64>,
    /// Behind the last record that was handed out.
    read: AtomicI64,
    /// Everything below is settled.
    settled: AtomicI64,
    /// Whether nothing is left to be handed out.
    reached: AtomicBool,
}

impl ReplayRange {
    /// The records of `source` with `offsets`.
    #[must_use]
    pub(crate) const fn new(source: TopicPartition, offsets: Range<i64>) -> Self {
        Self {
            source,
            read: AtomicI64::new(offsets.start),
            settled: AtomicI64::new(offsets.start),
            reached: AtomicBool::new(offsets.start >= offsets.end),
            offsets,
        }
    }

    /// The partition.
    #[must_use]
    pub(crate) const fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// The offsets that are read once more, the end not included.
    #[must_use]
    pub(crate) fn offsets(&self) -> Range<i64> {
        self.offsets.clone()
    }

    /// How many of the offsets are behind.
    #[must_use]
    pub(crate) fn passed(&self) -> i64 {
        let end = match self.is_done() {
            true => self.offsets.end,
            false => self.settled.load(Ordering::Acquire),
        };
        (end - self.offsets.start).max(0)
    }

    /// Whether every record was handed out and is settled.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.reached.load(Ordering::Acquire)
            && self.settled.load(Ordering::Acquire) >= self.read.load(Ordering::Acquire)
    }

    /// Where a client begins; what was handed out before and is not settled is read again.
    pub(super) fn begin(&self) -> NextOffset {
        let start = self.settled.load(Ordering::Acquire);
        self.read.store(start, Ordering::Release);
        let empty = start >= self.offsets.end;
        self.reached.store(empty, Ordering::Release);
        NextOffset(start)
    }

    pub(super) fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Acquire)
    }

    /// Takes from `batch` what lies behind the end, and notes what is handed out.
    pub(super) fn clip(&self, batch: RecordBatch) -> RecordBatch {
        let Some(next) = batch.next_offset() else {
            return batch;
        };
        if next < self.offsets.end {
            self.read.store(next, Ordering::Release);
            return batch;
        }
        let records = batch.iter().enumerate();
        let within: Vec<usize> = records
            .filter(|(_, record)| record.offset() < self.offsets.end)
            .map(|(index, _)| index)
            .collect();
        let batch = batch.subset(&within);
        if let Some(next) = batch.next_offset() {
            self.read.store(next, Ordering::Release);
        }
        // Last, so that whoever sees it sees what was handed out, too.
        self.reached.store(true, Ordering::Release);
        batch
    }

    /// Whether `error` only says that the partition has no more records, which ends the range: its
    /// end was there when it was fixed.
    pub(super) fn ends_with(&self, error: &KafkaError) -> bool {
        let ended = error.code() == Some(RDKafkaErrorCode::PartitionEOF);
        if ended {
            self.reached.store(true, Ordering::Release);
        }
        ended
    }

    pub(super) fn settle(&self, next: NextOffset) {
        self.settled.fetch_max(next.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_record::RecordBatchBuilder;

    fn range(offsets: Range<i64>) -> ReplayRange {
        ReplayRange::new(TopicPartition::new("t", 0), offsets)
    }

    fn batch(offsets: Range<i64>) -> RecordBatch {
        let mut batch = RecordBatchBuilder::with_capacity(TopicPartition::new("t", 0), 0, 0);
        for offset in offsets {
            batch.push(offset, 7, None, Some(b"v"));
        }
        batch.build()
    }

    #[test]
    fn nothing_behind_the_end_is_handed_out() {
        let range = range(10..15);
        assert_eq!(range.clip(batch(10..12)).len(), 2);
        assert!(!range.is_reached());
        assert_eq!(range.clip(batch(12..20)).len(), 3);
        assert!(range.is_reached() && !range.is_done());
        range.settle(NextOffset(12));
        assert_eq!((range.passed(), range.is_done()), (2, false));
        range.settle(NextOffset(15));
        assert_eq!((range.passed(), range.is_done()), (5, true));
    }

    #[test]
    fn an_end_without_records_is_an_end() {
        // The last offsets mark a transaction: the next record lies behind the end, or there is none.
        for behind in [true, false] {
            let range = range(0..5);
            assert_eq!(range.clip(batch(0..3)).len(), 3);
            range.settle(NextOffset(3));
            assert!(!range.is_done());
            if behind {
                assert!(range.clip(batch(7..9)).is_empty());
            } else {
                let eof = KafkaError::Partition {
                    partition: range.source().clone(),
                    code: RDKafkaErrorCode::PartitionEOF,
                    detail: String::new(),
                };
                assert!(range.ends_with(&eof));
            }
            assert_eq!((range.passed(), range.is_done()), (5, true));
        }
        assert!(range(4..4).is_done());
    }

    #[test]
    fn a_new_client_goes_on_behind_what_is_settled() {
        let range = range(0..5);
        assert_eq!(range.clip(batch(0..5)).len(), 5);
        range.settle(NextOffset(3));
        assert_eq!(range.begin(), NextOffset(3));
        assert!(!range.is_reached());
        assert_eq!(range.clip(batch(3..5)).len(), 2);
        range.settle(NextOffset(5));
        assert!(range.is_done());
        assert_eq!(range.begin(), NextOffset(5));
        assert!(range.is_done());
    }
}
