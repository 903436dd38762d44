//! The log of one partition: batches in memory, in order of their offsets.
//!
//! Batches are kept as the bytes that came in, without their first field, the base offset, which is stored beside
//! them. So neither appending nor reading copies or encodes anything.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;

use crate::batch::{self, BASE_OFFSET, BatchHeader};
use crate::error::BatchError;
use crate::producers::{Producers, Verdict};
use crate::record::Record;

/// A batch in the log.
#[derive(Debug, Clone)]
pub(crate) struct StoredBatch {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    max_timestamp: i64,
    /// Everything after the base offset.
    pub(crate) tail: Bytes,
}

impl StoredBatch {
    /// Bytes of the whole batch.
    pub(crate) fn size(&self) -> usize {
        BASE_OFFSET + self.tail.len()
    }

    /// Decodes the records.
    ///
    /// # Errors
    /// When they do not decompress or are malformed.
    pub(crate) fn records(&self) -> Result<Vec<Record>, BatchError> {
        let mut bytes = BytesMut::with_capacity(self.size());
        bytes.put_i64(self.base_offset);
        bytes.extend_from_slice(&self.tail);
        let bytes = bytes.freeze();
        batch::decode(&BatchHeader::parse(&bytes)?, self.base_offset, &bytes)
    }
}

/// The log of one partition.
#[derive(Debug, Default)]
pub(crate) struct PartitionLog {
    start: i64,
    end: i64,
    bytes: usize,
    retention: Option<usize>,
    batches: VecDeque<StoredBatch>,
    producers: Producers,
}

impl PartitionLog {
    /// An empty log that keeps at most `retention` bytes (and always its newest batch).
    pub(crate) fn new(retention: Option<usize>) -> Self {
        Self {
            retention,
            ..Self::default()
        }
    }

    /// Offset of the first record that is still there.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// Offset the next record will get: the high watermark.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Bytes of batches held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the batches in `bytes` and returns the offset of the first. A batch seen before from an idempotent
    /// producer is not stored again; its old offset is returned. `pinned` is the size of the allocation `bytes` is
    /// part of: a batch that fills most of it is kept where it is, a small one is copied to set the rest free.
    ///
    /// # Errors
    /// The code to answer the producer with; nothing of a refused batch is stored.
    pub(crate) fn append(
        &mut self,
        mut bytes: Bytes,
        pinned: usize,
        max_batch_bytes: usize,
    ) -> Result<i64, ResponseError> {
        let mut first = None;
        while !bytes.is_empty() {
            let header = BatchHeader::parse(&bytes).map_err(|error| match error {
                BatchError::Magic(_) => ResponseError::UnsupportedForMessageFormat,
                BatchError::Malformed => ResponseError::InvalidRecord,
                _ => ResponseError::CorruptMessage,
            })?;
            if header.length > max_batch_bytes {
                return Err(ResponseError::MessageTooLarge);
            }
            let one = bytes.split_to(header.length);
            let offset = match self.producers.judge(&header) {
                Verdict::Refuse(code) => return Err(code),
                Verdict::Duplicate(offset) => offset,
                Verdict::Append => {
                    let offset = self.end;
                    let tail = one.slice(BASE_OFFSET..);
                    let tail = if one.len() < pinned / 2 {
                        Bytes::copy_from_slice(&tail)
                    } else {
                        tail
                    };
                    self.push(&header, tail);
                    self.producers.stored(&header, offset);
                    offset
                }
            };
            first.get_or_insert(offset);
        }
        first.ok_or(ResponseError::InvalidRecord)
    }

    fn push(&mut self, header: &BatchHeader, tail: Bytes) {
        let stored = StoredBatch {
            base_offset: self.end,
            last_offset: self.end + i64::from(header.last_offset_delta),
            max_timestamp: header.max_timestamp,
            tail,
        };
        self.end = stored.last_offset + 1;
        self.bytes += stored.size();
        self.batches.push_back(stored);
        if let Some(limit) = self.retention {
            while self.bytes > limit && self.batches.len() > 1 {
                self.drop_oldest();
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.batches.pop_front() {
            self.bytes -= oldest.size();
            self.start = self.start.max(oldest.last_offset + 1);
        }
    }

    /// Adds whole batches to `into`, from the one that holds `offset` on, while they fit into `max_bytes`; the first
    /// always fits. Returns the bytes added, 0 at the end of the log.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` before the start or beyond the end.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        into: &mut Vec<StoredBatch>,
    ) -> Result<usize, ResponseError> {
        if offset < self.start || offset > self.end {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let from = self
            .batches
            .partition_point(|batch| batch.last_offset < offset);
        let mut bytes = 0;
        for batch in self.batches.range(from..) {
            if bytes > 0 && bytes + batch.size() > max_bytes {
                break;
            }
            bytes += batch.size();
            into.push(batch.clone());
        }
        Ok(bytes)
    }

    /// The batch that may hold the first record at or after `timestamp`: the caller decodes it outside the lock.
    pub(crate) fn batch_at(&self, timestamp: i64) -> Option<StoredBatch> {
        self.batches
            .iter()
            .find(|batch| batch.max_timestamp >= timestamp)
            .cloned()
    }

    /// All batches from the one that holds `offset` on.
    pub(crate) fn batches_from(&self, offset: i64) -> Vec<StoredBatch> {
        let from = self
            .batches
            .partition_point(|batch| batch.last_offset < offset);
        self.batches.range(from..).cloned().collect()
    }

    /// Forgets the records before `offset` (at most up to the end) and returns the new start.
    pub(crate) fn truncate(&mut self, offset: i64) -> i64 {
        self.start = self.start.max(offset.min(self.end));
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.last_offset < self.start)
        {
            self.drop_oldest();
        }
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize, timestamp: i64) -> Bytes {
        let record = Record {
            timestamp,
            value: Some(Bytes::from_static(b"0123456789")),
            ..Record::default()
        };
        batch::encode(&vec![record; records])
    }

    fn log(batches: &[usize]) -> PartitionLog {
        let mut log = PartitionLog::new(None);
        for (at, records) in (0..).zip(batches) {
            log.append(batch(*records, at * 1000), 0, usize::MAX)
                .unwrap();
        }
        log
    }

    fn offsets(log: &PartitionLog, offset: i64, max_bytes: usize) -> Vec<i64> {
        let mut batches = Vec::new();
        log.read(offset, max_bytes, &mut batches).unwrap();
        batches.iter().map(|batch| batch.base_offset).collect()
    }

    #[test]
    fn reading_starts_with_the_batch_that_holds_the_offset() {
        let log = log(&[3, 2, 4]);
        assert_eq!((log.start(), log.end()), (0, 9));
        assert_eq!(offsets(&log, 0, usize::MAX), [0, 3, 5]);
        assert_eq!(offsets(&log, 4, usize::MAX), [3, 5]);
        assert_eq!(offsets(&log, 4, 1), [3]);
        assert_eq!(offsets(&log, 9, usize::MAX), [0; 0]);
        assert_eq!(
            log.read(10, 1, &mut Vec::new()).unwrap_err(),
            ResponseError::OffsetOutOfRange
        );
    }

    #[test]
    fn truncation_moves_the_start_inside_a_batch() {
        let mut log = log(&[3, 2, 4]);
        assert_eq!(log.truncate(4), 4);
        assert_eq!(
            log.read(3, 1, &mut Vec::new()).unwrap_err(),
            ResponseError::OffsetOutOfRange
        );
        assert_eq!(offsets(&log, 4, usize::MAX), [3, 5]);
        assert_eq!(log.truncate(100), 9);
        assert_eq!((log.bytes(), log.end()), (0, 9));
    }

    #[test]
    fn retention_keeps_the_newest_batches() {
        let size = batch(2, 0).len();
        let mut log = PartitionLog::new(Some(3 * size));
        for _ in 0..10 {
            log.append(batch(2, 0), 0, usize::MAX).unwrap();
        }
        assert_eq!((log.start(), log.end(), log.bytes()), (14, 20, 3 * size));
        log.append(batch(500, 0), 0, usize::MAX).unwrap();
        assert_eq!((log.start(), log.end()), (20, 520));
    }

    #[test]
    fn a_time_is_found_in_its_batch() {
        let log = log(&[3, 2, 4]);
        assert_eq!(log.batch_at(1).unwrap().base_offset, 3);
        assert_eq!(log.batch_at(2000).unwrap().records().unwrap()[3].offset, 8);
        assert!(log.batch_at(2001).is_none());
    }

    #[test]
    fn several_batches_in_one_append_are_kept_apart() {
        let mut log = PartitionLog::new(None);
        let bytes = Bytes::from([batch(2, 0), batch(3, 0)].concat());
        assert_eq!(log.append(bytes, 0, usize::MAX), Ok(0));
        assert_eq!(offsets(&log, 0, usize::MAX), [0, 2]);
    }

    #[test]
    fn a_refused_batch_leaves_no_trace() {
        let mut log = log(&[1]);
        let mut cut = batch(2, 0);
        cut.truncate(80);
        assert_eq!(
            log.append(cut, 0, usize::MAX),
            Err(ResponseError::CorruptMessage)
        );
        assert_eq!(
            log.append(batch(50, 0), 0, 100),
            Err(ResponseError::MessageTooLarge)
        );
        assert_eq!(
            log.append(Bytes::new(), 0, 100),
            Err(ResponseError::InvalidRecord)
        );
        assert_eq!(log.end(), 1);
    }
}
