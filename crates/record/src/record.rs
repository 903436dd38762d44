//! Records as they travel through the process: one batch of one partition, copied once out of the
//! client library into a single arena.
//!
//! A batch is immutable and shared by reference; keys, values and header values are slices of the
//! arena, so forwarding a value to a destination copies nothing.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kafkamq_memory::Account;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name, shared by everything that refers to it.
    pub topic: Arc<str>,
    /// The partition's number within the topic.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A slice of the arena; absent (a Kafka null) is told apart from empty.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

const ABSENT: usize = usize::MAX;

impl Span {
    const NULL: Self = Self {
        start: ABSENT,
        len: 0,
    };
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    offset: i64,
    timestamp_ms: i64,
    key: Span,
    value: Span,
    headers: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct HeaderSlot {
    name: Span,
    value: Span,
}

/// Consecutive records of one partition.
pub struct RecordBatch {
    source: TopicPartition,
    arena: Bytes,
    slots: Vec<Slot>,
    headers: Vec<HeaderSlot>,
}

impl RecordBatch {
    /// The partition that the records were read from.
    #[must_use]
    pub const fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// How many records the batch holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the batch holds no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Memory held by the batch, in bytes: the arena and the index of it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.arena.len()
            + self.slots.len() * size_of::<Slot>()
            + self.headers.len() * size_of::<HeaderSlot>()
    }

    /// The same batch, charged to `account` as long as it or any slice of it lives.
    #[must_use]
    pub fn charged(mut self, account: &Arc<Account>) -> Self {
        if !self.is_empty() {
            let charge = account.charge_beyond(self.bytes());
            self.arena = charge.keep(std::mem::take(&mut self.arena));
        }
        self
    }

    /// Offset of the first record; `None` for an empty batch.
    #[must_use]
    pub fn first_offset(&self) -> Option<i64> {
        self.slots.first().map(|slot| slot.offset)
    }

    /// The offset to commit once every record of the batch is settled: last offset + 1.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        self.slots.last().map(|slot| slot.offset + 1)
    }

    /// The record at `index`, counted from 0 within the batch.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.slots
            .get(index)
            .map(|slot| Record { batch: self, slot })
    }

    /// All records in offset order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.slots.iter().map(|slot| Record { batch: self, slot })
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.slots
            .iter()
            .map(|slot| (slot.key.len + slot.value.len) as u64)
            .sum()
    }

    /// The records at `indexes`, in that order, sharing this batch's arena.
    #[must_use]
    pub fn subset(&self, indexes: &[usize]) -> Self {
        let mut part = Self {
            source: self.source.clone(),
            arena: self.arena.clone(),
            slots: Vec::with_capacity(indexes.len()),
            headers: Vec::new(),
        };
        for slot in indexes.iter().filter_map(|&index| self.slots.get(index)) {
            let (start, len) = slot.headers;
            let own = u32::try_from(part.headers.len()).unwrap_or(u32::MAX);
            let headers = self.headers.get(start as usize..(start + len) as usize);
            part.headers.extend_from_slice(headers.unwrap_or_default());
            part.slots.push(Slot {
                headers: (own, len),
                ..*slot
            });
        }
        part
    }

    fn slice(&self, span: Span) -> Option<&[u8]> {
        if span.start == ABSENT {
            return None;
        }
        self.arena.get(span.start..span.start + span.len)
    }

    fn bytes_of(&self, span: Span) -> Option<Bytes> {
        let part = self.slice(span)?;
        Some(self.arena.slice_ref(part))
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch")
            .field("source", &self.source)
            .field("first_offset", &self.first_offset())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// One record of a batch.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a RecordBatch,
    slot: &'a Slot,
}

impl<'a> Record<'a> {
    /// Offset within the partition.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.slot.offset
    }

    /// Milliseconds since the Unix epoch as the record carries them; `None` when it has none.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        (self.slot.timestamp_ms >= 0).then_some(self.slot.timestamp_ms)
    }

    /// The key; `None` is a null key, which differs from an empty one.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.batch.slice(self.slot.key)
    }

    /// The value; `None` is a tombstone, which differs from an empty value.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.batch.slice(self.slot.value)
    }

    /// The value as a shared slice of the batch's arena.
    #[must_use]
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.batch.bytes_of(self.slot.value)
    }

    /// Headers in order, repeated names included; a header's value may be null.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let batch = self.batch;
        let (start, len) = self.slot.headers;
        batch
            .headers
            .get(start as usize..(start + len) as usize)
            .unwrap_or_default()
            .iter()
            .map(move |header| {
                let name = batch.slice(header.name).unwrap_or_default();
                (
                    std::str::from_utf8(name).unwrap_or("\u{fffd}"),
                    batch.slice(header.value),
                )
            })
    }
}

/// Collects records into a [`RecordBatch`].
#[derive(Debug)]
pub struct RecordBatchBuilder {
    source: TopicPartition,
    arena: Vec<u8>,
    slots: Vec<Slot>,
    headers: Vec<HeaderSlot>,
}

impl RecordBatchBuilder {
    /// A builder with room for `records` records of `bytes` bytes in total.
    #[must_use]
    pub fn with_capacity(source: TopicPartition, records: usize, bytes: usize) -> Self {
        Self {
            source,
            arena: Vec::with_capacity(bytes),
            slots: Vec::with_capacity(records),
            headers: Vec::new(),
        }
    }

    /// Adds a record; a negative `timestamp_ms` means that it has none. Offsets must ascend.
    pub fn push(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        let key = self.copy(key);
        let value = self.copy(value);
        let headers = (u32::try_from(self.headers.len()).unwrap_or(u32::MAX), 0);
        self.slots.push(Slot {
            offset,
            timestamp_ms,
            key,
            value,
            headers,
        });
    }

    /// Adds a header to the record pushed last.
    pub fn push_header(&mut self, name: &[u8], value: Option<&[u8]>) {
        let name = self.copy(Some(name));
        let value = self.copy(value);
        if let Some(slot) = self.slots.last_mut() {
            slot.headers.1 += 1;
            self.headers.push(HeaderSlot { name, value });
        }
    }

    /// The finished batch.
    #[must_use]
    pub fn build(self) -> RecordBatch {
        RecordBatch {
            source: self.source,
            arena: Bytes::from(self.arena),
            slots: self.slots,
            headers: self.headers,
        }
    }

    fn copy(&mut self, bytes: Option<&[u8]>) -> Span {
        let Some(bytes) = bytes else {
            return Span::NULL;
        };
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        Span {
            start,
            len: bytes.len(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_charged_as_long_as_a_value_of_it_lives() {
        let account = Account::root("service", usize::MAX);
        let mut builder = RecordBatchBuilder::with_capacity(TopicPartition::new("logs", 3), 1, 16);
        builder.push(7, -1, None, Some(b"value"));
        let batch = builder.build().charged(&account);
        assert_eq!(account.used(), batch.bytes());
        let (part, value) = (batch.subset(&[0]), batch.get(0).unwrap().value_bytes());
        drop(batch);
        drop(part);
        assert!(account.used() > 0);
        assert_eq!(value.unwrap(), "value");
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn null_and_empty_are_told_apart() {
        let mut builder = RecordBatchBuilder::with_capacity(TopicPartition::new("logs", 3), 2, 16);
        builder.push(7, -1, None, None);
        builder.push(9, 1_700_000_000_000, Some(b""), Some(b"value"));
        builder.push_header(b"trace", Some(b"\xff\x00"));
        builder.push_header(b"trace", None);
        let batch = builder.build();

        assert_eq!(batch.first_offset(), Some(7));
        assert_eq!(batch.next_offset(), Some(10));
        let tombstone = batch.get(0).unwrap();
        assert_eq!((tombstone.key(), tombstone.value()), (None, None));
        assert_eq!(tombstone.timestamp_ms(), None);
        assert_eq!(tombstone.headers().count(), 0);
        let record = batch.get(1).unwrap();
        assert_eq!(
            (record.key(), record.value()),
            (Some(&b""[..]), Some(&b"value"[..]))
        );
        assert_eq!(record.value_bytes().unwrap(), "value");
        assert_eq!(record.timestamp_ms(), Some(1_700_000_000_000));
        let headers: Vec<_> = record.headers().collect();
        assert_eq!(
            headers,
            [("trace", Some(&b"\xff\x00"[..])), ("trace", None)]
        );
        assert!(batch.get(2).is_none());
        assert_eq!(batch.payload_bytes(), 5);

        let part = batch.subset(&[1]);
        assert_eq!((part.len(), part.first_offset()), (1, Some(9)));
        assert_eq!(part.get(0).unwrap().headers().collect::<Vec<_>>(), headers);
    }
}
