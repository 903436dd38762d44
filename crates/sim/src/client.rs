//! The client of the brokers, as mean as librdkafka is.
//!
//! What it does of its own accord is what the real one does: it fetches ahead into a queue of each
//! partition, applies `auto.offset.reset` when an offset does not exist, follows a log that was truncated
//! without a word, and keeps what it fetched readable after a partition was taken away. Seeks and pauses
//! drop what was fetched. It compares epochs where both are known, and only then.

use std::collections::{BTreeMap, VecDeque};

use kafkamq_record::{Position, TopicPartition};

use crate::cluster::{Cluster, Entry};

/// What a queue holds.
#[derive(Debug, Clone)]
pub(crate) enum Fetched {
    Record(Entry),
    /// There is nothing more up to this offset.
    End(i64),
    /// An error of the partition.
    Error(&'static str),
}

/// One partition of the client.
#[derive(Debug, Default)]
struct Fetcher {
    is_assigned: bool,
    is_paused: bool,
    /// The next offset to fetch, and the epoch of the record before it.
    next: i64,
    epoch: Option<i32>,
    queue: VecDeque<Fetched>,
    /// The end that was told last.
    told_end: Option<i64>,
    watermarks: Option<(i64, i64)>,
    /// Bytes in the queue.
    held: usize,
}

/// Where the client goes by itself when an offset does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// To the first record.
    Oldest,
    /// To the end.
    Newest,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State;

/// The client of one member.
#[derive(Debug)]
pub(crate) struct Client {
    partitions: BTreeMap<TopicPartition, Fetcher>,
    reset: Reset,
    /// Records that a queue takes.
    limit: usize,
    /// Whether it compares epochs.
    compares: bool,
}

impl Client {
    pub(crate) const fn new(reset: Reset, limit: usize, compares: bool) -> Self {
        Self {
            partitions: BTreeMap::new(),
            reset,
            limit,
            compares,
        }
    }

    /// Assigns a partition at `next`, in addition to those assigned.
    pub(crate) fn assign(&mut self, source: &TopicPartition, next: i64) {
        let fetcher = self.partitions.entry(source.clone()).or_default();
        *fetcher = Fetcher {
            is_assigned: true,
            next,
            ..Fetcher::default()
        };
    }

    /// Takes a partition away. What was fetched stays readable until the reader lets go.
    pub(crate) fn unassign(&mut self, source: &TopicPartition) {
        if let Some(fetcher) = self.partitions.get_mut(source) {
            fetcher.is_assigned = false;
        }
    }

    /// The reader of a partition that was taken away let go.
    pub(crate) fn let_go(&mut self, source: &TopicPartition) {
        let gone = self.partitions.get(source);
        if gone.is_some_and(|fetcher| !fetcher.is_assigned) {
            self.partitions.remove(source);
        }
    }

    fn assigned(&mut self, source: &TopicPartition) -> Result<&mut Fetcher, State> {
        let fetcher = self.partitions.get_mut(source).ok_or(State)?;
        fetcher.is_assigned.then_some(fetcher).ok_or(State)
    }

    /// Stops or allows fetching. Stopping drops what was fetched; going on begins behind what was read. Of a
    /// partition that is not assigned it is accepted and does nothing.
    pub(crate) fn pause(&mut self, source: &TopicPartition, pause: bool) -> Result<(), State> {
        let Ok(fetcher) = self.assigned(source) else {
            return Ok(());
        };
        if pause && !fetcher.is_paused {
            fetcher.drop_fetched();
        }
        fetcher.is_paused = pause;
        Ok(())
    }

    /// Goes on at `position`. Nothing that was fetched before is read any more.
    pub(crate) fn seek(
        &mut self,
        source: &TopicPartition,
        position: Position,
    ) -> Result<(), State> {
        let fetcher = self.assigned(source)?;
        fetcher.drop_fetched();
        fetcher.next = position.next.0;
        fetcher.epoch = position.epoch;
        Ok(())
    }

    /// What of a partition the client knows without asking.
    pub(crate) fn watermarks(&self, source: &TopicPartition) -> Option<(i64, i64)> {
        self.partitions.get(source)?.watermarks
    }

    /// Takes up to `most` of what was fetched.
    pub(crate) fn take(&mut self, source: &TopicPartition, most: usize) -> Vec<Fetched> {
        let Some(fetcher) = self.partitions.get_mut(source) else {
            return Vec::new();
        };
        let count = most.min(fetcher.queue.len());
        let taken: Vec<Fetched> = fetcher.queue.drain(..count).collect();
        let bytes: usize = taken.iter().map(Fetched::bytes).sum();
        fetcher.held -= bytes;
        taken
    }

    /// Puts an error into the queue of a partition.
    pub(crate) fn fail(&mut self, source: &TopicPartition, error: &'static str) -> bool {
        let Ok(fetcher) = self.assigned(source) else {
            return false;
        };
        fetcher.queue.push_back(Fetched::Error(error));
        true
    }

    /// Fetches up to `most` records of each partition. Returns the partitions whose queue was empty and
    /// is not any more.
    pub(crate) fn fetch(&mut self, cluster: &Cluster, most: usize) -> Vec<TopicPartition> {
        let (reset, limit, compares) = (self.reset, self.limit, self.compares);
        let mut woken = Vec::new();
        for (source, fetcher) in &mut self.partitions {
            if !fetcher.is_assigned || fetcher.is_paused || fetcher.queue.len() >= limit {
                continue;
            }
            let was_empty = fetcher.queue.is_empty();
            if !compares {
                fetcher.epoch = None;
            }
            fetcher.fetch(source, cluster, most, reset);
            if was_empty && !fetcher.queue.is_empty() {
                woken.push(source.clone());
            }
        }
        woken
    }

    /// How a partition stands, in words.
    pub(crate) fn shown(&self, source: &TopicPartition) -> String {
        let Some(own) = self.partitions.get(source) else {
            return "unknown to the client".to_owned();
        };
        let (next, queued) = (own.next, own.queue.len());
        let (assigned, paused) = (own.is_assigned, own.is_paused);
        format!(
            "the client fetches from {next}, {queued} queued, assigned {assigned}, paused {paused}"
        )
    }

    /// The partitions that are assigned.
    pub(crate) fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        let assigned = self.partitions.iter().filter(|(_, own)| own.is_assigned);
        assigned.map(|(source, _)| source)
    }
}

impl Fetcher {
    /// Forgets what was fetched; the next fetch begins behind what was read.
    fn drop_fetched(&mut self) {
        let first = self.queue.iter().find_map(|one| match one {
            Fetched::Record(entry) => Some(entry.offset),
            Fetched::End(offset) => Some(*offset),
            Fetched::Error(_) => None,
        });
        if let Some(first) = first {
            self.next = first;
        }
        self.queue.clear();
        self.held = 0;
        self.told_end = None;
    }

    fn fetch(&mut self, source: &TopicPartition, cluster: &Cluster, most: usize, reset: Reset) {
        let Some(log) = cluster.partition(source) else {
            return;
        };
        self.watermarks = Some((log.low, log.high));
        if let Some(epoch) = self.epoch.filter(|&epoch| epoch < log.epoch) {
            let end = log.end_of(epoch);
            if end < self.next {
                self.next = end;
                self.told_end = None;
            }
            self.epoch = Some(log.epoch);
        }
        if self.next < log.low || self.next > log.high {
            self.next = match reset {
                Reset::Oldest => log.low,
                Reset::Newest => log.high,
            };
            self.told_end = None;
        }
        let mut taken = 0;
        let mut reached = true;
        for entry in log.from(self.next) {
            if taken == most {
                reached = false;
                break;
            }
            self.next = entry.offset + 1;
            self.epoch = Some(entry.epoch);
            if entry.value.is_some() {
                taken += 1;
                let fetched = Fetched::Record(entry.clone());
                self.held += fetched.bytes();
                self.queue.push_back(fetched);
            }
        }
        if reached {
            self.next = self.next.max(log.high);
            if self.told_end != Some(log.high) {
                self.told_end = Some(log.high);
                self.queue.push_back(Fetched::End(log.high));
            }
        }
    }
}

impl Fetched {
    fn bytes(&self) -> usize {
        match self {
            Self::Record(entry) => {
                let length =
                    |part: &Option<std::sync::Arc<[u8]>>| part.as_ref().map_or(0, |p| p.len());
                length(&entry.key) + length(&entry.value)
            }
            Self::End(_) | Self::Error(_) => 0,
        }
    }
}
