//! The stage of the simulator's own client and brokers.

use std::sync::Arc;

use kafkamq_record::{NextOffset, Position, TopicPartition};

use super::{Ability, At, Reset, Stage, Told};
use crate::client::{Client, Fetched, State};
use crate::cluster::{Cluster, Committed, PartitionLog};

const TOPIC: &str = "trap";
/// Records that the client fetches at once, and the most that a queue holds.
const FETCHED: usize = 100;

/// The fake client and brokers.
#[derive(Debug)]
pub struct Fake {
    topic: Arc<str>,
    cluster: Cluster,
    client: Client,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            topic: TOPIC.into(),
            cluster: Cluster::new(false),
            client: Client::new(Reset::Oldest, FETCHED, true),
        }
    }
}

impl Fake {
    fn source(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(Arc::clone(&self.topic), partition)
    }

    fn log(&mut self, partition: i32) -> Option<&mut PartitionLog> {
        let source = self.source(partition);
        self.cluster.partition_mut(&source)
    }

    fn append(&mut self, partition: i32, value: Option<&str>, time_ms: i64) {
        let value = value.map(|value| Arc::from(value.as_bytes()));
        if let Some(log) = self.log(partition) {
            log.append(0, time_ms, None, value);
        }
    }

    fn fetch(&mut self) {
        self.client.fetch(&self.cluster, FETCHED);
    }
}

/// As the real client calls it.
fn refused<T>(result: Result<T, State>) -> Result<(), String> {
    result.map(drop).map_err(|State| "state".to_owned())
}

impl Stage for Fake {
    fn can(&self, _: Ability) -> bool {
        true
    }

    fn begin(&mut self, partitions: i32, reset: Reset) {
        *self = Self {
            client: Client::new(reset, FETCHED, true),
            ..Self::default()
        };
        let partitions = usize::try_from(partitions).unwrap_or(1);
        self.cluster.create(&Arc::clone(&self.topic), partitions);
    }

    fn write(&mut self, partition: i32, values: &[&str]) {
        for value in values {
            self.append(partition, Some(value), 0);
        }
    }

    fn write_at(&mut self, partition: i32, value: &str, time_ms: i64) {
        self.append(partition, Some(value), time_ms);
    }

    fn write_transaction(&mut self, partition: i32, values: &[&str]) {
        self.write(partition, values);
        self.append(partition, None, 0);
    }

    fn remove_below(&mut self, partition: i32, offset: i64) {
        if let Some(log) = self.log(partition) {
            log.remove_below(offset);
        }
    }

    fn truncate(&mut self, partition: i32, end: i64) {
        if let Some(log) = self.log(partition) {
            log.truncate(end);
        }
    }

    fn recreate(&mut self, partitions: i32) {
        self.cluster.delete(TOPIC, true);
        let partitions = usize::try_from(partitions).unwrap_or(1);
        self.cluster.create(&Arc::clone(&self.topic), partitions);
    }

    fn assign(&mut self, partition: i32, offset: i64) {
        let source = self.source(partition);
        self.client.assign(&source, offset);
        let _paused = self.client.pause(&source, true);
    }

    fn unassign(&mut self, partition: i32) {
        let source = self.source(partition);
        self.client.unassign(&source);
    }

    fn pause(&mut self, partition: i32) -> Result<(), String> {
        let source = self.source(partition);
        refused(self.client.pause(&source, true))
    }

    fn resume(&mut self, partition: i32) -> Result<(), String> {
        let source = self.source(partition);
        refused(self.client.pause(&source, false))
    }

    fn seek(&mut self, partition: i32, offset: i64, epoch: Option<i32>) -> Result<(), String> {
        let source = self.source(partition);
        let next = NextOffset(offset);
        refused(self.client.seek(&source, Position { next, epoch }))
    }

    fn await_fetched(&mut self, _: i32) {
        self.fetch();
    }

    fn read(&mut self, partition: i32, most: usize) -> Vec<Told> {
        self.fetch();
        let source = self.source(partition);
        let taken = self.client.take(&source, most).into_iter();
        taken
            .map(|one| match one {
                Fetched::Record(entry) => {
                    let value = entry.value.unwrap_or_default();
                    Told::Record(entry.offset, String::from_utf8_lossy(&value).into_owned())
                }
                Fetched::End(offset) => Told::End(offset),
                Fetched::Error(text) => Told::Error(text.to_owned()),
            })
            .collect()
    }

    fn watermarks(&mut self, partition: i32) -> Option<(i64, i64)> {
        let source = self.source(partition);
        self.client.watermarks(&source)
    }

    fn commit(&mut self, partition: i32, offset: i64, memo: &str) -> Result<(), String> {
        let committed = Committed {
            offset,
            epoch: None,
            memo: memo.to_owned(),
        };
        let source = self.source(partition);
        self.cluster.committed.insert(source, committed);
        Ok(())
    }

    fn committed(&mut self, partition: i32) -> Option<(i64, String)> {
        let known = self.cluster.committed.get(&self.source(partition))?;
        Some((known.offset, known.memo.clone()))
    }

    fn offset_at(&mut self, partition: i32, at: At) -> Option<i64> {
        let log = self.log(partition)?;
        match at {
            At::Oldest => Some(log.low),
            At::Newest => Some(log.high),
            At::Time(ms) => log.at_time(ms),
        }
    }
}
