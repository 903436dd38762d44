//! The brokers: topics, logs and what groups have committed.
//!
//! A topic that is deleted and made again has another log. A log may have gaps, ends of transactions,
//! removed records at its beginning, and records that were taken back at its end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kafkamq_record::{NextOffset, Position, TopicPartition};
use kafkamq_source::lease::LogId;

/// What stands at an offset.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) epoch: i32,
    /// The number of the record in its run.
    pub(crate) id: u64,
    pub(crate) key: Option<Arc<[u8]>>,
    /// `None` is the end of a transaction, which readers do not see.
    pub(crate) value: Option<Arc<[u8]>>,
}

/// One partition of a log.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartitionLog {
    entries: VecDeque<Entry>,
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) epoch: i32,
    /// Where each leader epoch began.
    epochs: Vec<(i32, i64)>,
    /// Whether records were ever taken back.
    pub(crate) was_truncated: bool,
}

impl PartitionLog {
    pub(crate) fn append(
        &mut self,
        id: u64,
        timestamp_ms: i64,
        key: Option<Arc<[u8]>>,
        value: Option<Arc<[u8]>>,
    ) -> i64 {
        let offset = self.high;
        self.entries.push_back(Entry {
            offset,
            timestamp_ms,
            epoch: self.epoch,
            id,
            key,
            value,
        });
        self.high += 1;
        offset
    }

    /// Leaves offsets without records, as compaction does.
    pub(crate) const fn skip(&mut self, offsets: i64) {
        self.high += offsets;
    }

    /// Removes records below `low`.
    pub(crate) fn remove_below(&mut self, low: i64) {
        self.low = self.low.max(low.min(self.high));
        while self
            .entries
            .front()
            .is_some_and(|one| one.offset < self.low)
        {
            self.entries.pop_front();
        }
    }

    /// Takes records from `end` on back. Another leader goes on there.
    pub(crate) fn truncate(&mut self, end: i64) {
        let end = end.clamp(self.low, self.high);
        while self.entries.back().is_some_and(|one| one.offset >= end) {
            self.entries.pop_back();
        }
        self.high = end;
        self.epochs.retain(|(_, start)| *start < end);
        self.epoch += 1;
        self.epochs.push((self.epoch, end));
        self.was_truncated = true;
    }

    /// Where the log of `epoch` ended.
    pub(crate) fn end_of(&self, epoch: i32) -> i64 {
        let next = self.epochs.iter().find(|(later, _)| *later > epoch);
        next.map_or(self.high, |(_, start)| *start)
    }

    /// A position as brokers tell it when they are asked for an offset.
    pub(crate) fn position_at(&self, offset: i64) -> Position {
        let before = |(_, start): &&(i32, i64)| *start <= offset;
        let epoch = self.epochs.iter().rev().find(before);
        Position {
            next: NextOffset(offset),
            epoch: Some(epoch.map_or(0, |(epoch, _)| *epoch)),
        }
    }

    fn index(&self, offset: i64) -> usize {
        self.entries.partition_point(|entry| entry.offset < offset)
    }

    /// What stands from `offset` on.
    pub(crate) fn from(&self, offset: i64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.index(offset)..)
    }

    /// Records in `from..to`.
    pub(crate) fn between(&self, from: i64, to: i64) -> impl Iterator<Item = &Entry> {
        let range = self.index(from)..self.index(to).max(self.index(from));
        self.entries
            .range(range)
            .filter(|entry| entry.value.is_some())
    }

    /// The first offset of this time or later.
    pub(crate) fn at_time(&self, timestamp_ms: i64) -> Option<i64> {
        let mut later = self
            .entries
            .iter()
            .filter(|entry| entry.timestamp_ms >= timestamp_ms);
        later.next().map(|entry| entry.offset)
    }
}

/// One log of a topic.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// Counts the logs of a cluster.
    pub(crate) number: i64,
    pub(crate) partitions: Vec<PartitionLog>,
}

impl Log {
    /// The topic's id, as brokers that know ids tell it.
    pub(crate) fn id(&self) -> Option<LogId> {
        LogId::from_halves(0, self.number)
    }
}

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) epoch: Option<i32>,
    pub(crate) memo: String,
}

/// The brokers.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    topics: BTreeMap<Arc<str>, Log>,
    /// What the group has committed.
    pub(crate) committed: BTreeMap<TopicPartition, Committed>,
    logs: i64,
    /// Whether they tell topic ids.
    tells_ids: bool,
}

impl Cluster {
    pub(crate) fn new(tells_ids: bool) -> Self {
        Self {
            tells_ids,
            ..Self::default()
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&Log> {
        self.topics.get(name)
    }

    pub(crate) fn log_id(&self, name: &str) -> Option<LogId> {
        self.topic(name)?.id().filter(|_| self.tells_ids)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.keys()
    }

    pub(crate) fn partition(&self, source: &TopicPartition) -> Option<&PartitionLog> {
        let log = self.topics.get(&source.topic)?;
        log.partitions.get(usize::try_from(source.partition).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, source: &TopicPartition) -> Option<&mut PartitionLog> {
        let log = self.topics.get_mut(&source.topic)?;
        log.partitions
            .get_mut(usize::try_from(source.partition).ok()?)
    }

    /// All partitions that exist.
    pub(crate) fn sources(&self) -> Vec<TopicPartition> {
        let mut sources = Vec::new();
        for (topic, log) in &self.topics {
            for partition in 0..log.partitions.len() {
                let partition = i32::try_from(partition).unwrap_or(i32::MAX);
                sources.push(TopicPartition::new(Arc::clone(topic), partition));
            }
        }
        sources
    }

    /// Makes a topic, if there is none of this name.
    pub(crate) fn create(&mut self, name: &Arc<str>, partitions: usize) {
        if self.topics.contains_key(name) {
            return;
        }
        self.logs += 1;
        let log = Log {
            number: self.logs,
            partitions: vec![PartitionLog::default(); partitions.max(1)],
        };
        self.topics.insert(Arc::clone(name), log);
    }

    /// Deletes a topic, and what was committed for it, if `forget`.
    pub(crate) fn delete(&mut self, name: &str, forget: bool) {
        self.topics.remove(name);
        if forget {
            self.committed.retain(|source, _| *source.topic != *name);
        }
    }

    /// Adds partitions.
    pub(crate) fn grow(&mut self, name: &str, by: usize) {
        if let Some(log) = self.topics.get_mut(name) {
            let partitions = log.partitions.len() + by;
            log.partitions
                .resize_with(partitions, PartitionLog::default);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_offsets_over_gaps_removal_and_records_taken_back() {
        let mut log = PartitionLog::default();
        let value: Option<Arc<[u8]>> = Some(Arc::from(&b"v"[..]));
        for at in 0..5 {
            log.append(0, at, None, value.clone());
        }
        log.skip(2);
        assert_eq!(log.append(0, 9, None, value), 7);
        log.append(0, 9, None, None);
        assert_eq!(
            (log.high, log.between(0, 9).count(), log.at_time(6)),
            (9, 6, Some(7))
        );
        log.remove_below(2);
        assert_eq!((log.low, log.between(0, 9).count()), (2, 4));
        log.truncate(4);
        assert_eq!((log.high, log.end_of(0), log.end_of(1)), (4, 4, 4));
        assert_eq!(log.from(3).count(), 1);
    }
}
