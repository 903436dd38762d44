//! The broker's handle: starting, stopping, and everything that needs no client.

use std::io;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::sync::mpsc;

use crate::batch;
use crate::error::BrokerError;
use crate::events::{Departure, Event};
use crate::faults::Fault;
use crate::options::BrokerOptions;
use crate::record::Record;
use crate::server::{self, Command};
use crate::shared::{HOST, Shared};
use crate::topics::Partition;

/// A running broker. It has a thread of its own and ends when this value is dropped.
///
/// All methods may be called from any thread. Those whose name begins with `wait` block the calling thread, and so,
/// briefly, do [`go_down`](Self::go_down), [`come_up`](Self::come_up),
/// [`drop_connections`](Self::drop_connections) and [`stop`](Self::stop).
pub struct Broker {
    shared: Arc<Shared>,
    port: u16,
    commands: mpsc::UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Starts a broker; clients can connect as soon as this returns.
    ///
    /// # Errors
    /// When the port cannot be bound or the thread not be started.
    pub fn start(options: BrokerOptions) -> Result<Self, BrokerError> {
        let wanted = options.port;
        let shared = Arc::new(Shared::new(options));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BrokerError::Start)?;
        let (commands, received) = mpsc::unbounded_channel();
        let (ready, started) = std_mpsc::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || runtime.block_on(server::run(state, received, ready)))
            .map_err(BrokerError::Start)?;
        let port = match started.recv() {
            Ok(bound) => bound.map_err(|source| BrokerError::Listen {
                port: wanted,
                source,
            })?,
            Err(_) => return Err(BrokerError::Stopped),
        };
        Ok(Self {
            shared,
            port,
            commands,
            thread: Some(thread),
        })
    }

    /// What clients set as `bootstrap.servers`: `127.0.0.1:` and the port.
    pub fn bootstrap(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the broker, closes all connections and waits for its thread. Dropping does the same.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Only fails when the thread has ended already.
        drop(self.commands.send(Command::Stop));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the embedded broker panicked");
        }
    }

    // Topics and records.

    /// Creates a topic.
    ///
    /// # Errors
    /// When the name or the number is not allowed, or the topic exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        self.shared
            .topics
            .create(name, partitions)
            .map_err(BrokerError::Refused)
    }

    /// Gives a topic more partitions, `partitions` in all.
    ///
    /// # Errors
    /// When there is no such topic, or it has as many already.
    pub fn add_partitions(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        self.shared
            .topics
            .grow(name, partitions)
            .map_err(BrokerError::Refused)
    }

    /// Deletes a topic, its records and the offsets committed for it.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn delete_topic(&self, name: &str) -> Result<(), BrokerError> {
        self.shared.delete_topic(name).map_err(BrokerError::Refused)
    }

    /// Names of all topics, sorted.
    pub fn topics(&self) -> Vec<String> {
        self.shared.topics.names()
    }

    /// Number of partitions of a topic, none if there is no such topic.
    pub fn partitions(&self, topic: &str) -> Option<i32> {
        self.shared.topics.partitions(topic)
    }

    /// Appends one record and returns its offset. `timestamp` is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When there is no such partition, or the record is larger than [`BrokerOptions::max_batch_bytes`].
    pub fn append(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
        timestamp: i64,
    ) -> Result<i64, BrokerError> {
        let own = Bytes::copy_from_slice;
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(own)));
        let record = Record {
            offset: 0,
            timestamp,
            key: key.map(own),
            value: value.map(own),
            headers: headers.collect(),
        };
        self.append_records(topic, partition, &[record])
    }

    /// Appends records as one uncompressed batch and returns the offset of the first; the offsets in `records` are
    /// ignored.
    ///
    /// # Errors
    /// When there is no such partition, there are no records, or they are larger than
    /// [`BrokerOptions::max_batch_bytes`].
    pub fn append_records(
        &self,
        topic: &str,
        partition: i32,
        records: &[Record],
    ) -> Result<i64, BrokerError> {
        let partition = self.partition(topic, partition)?;
        if records.is_empty() {
            return Err(BrokerError::Refused(ResponseError::InvalidRecord));
        }
        let batch = batch::encode(records);
        let size = batch.len();
        let offset = partition
            .append(batch, size, self.shared.options.max_batch_bytes)
            .map_err(BrokerError::Refused)?;
        self.shared.recorder.changed();
        Ok(offset)
    }

    /// Decodes all records of a partition that are still there. All five codecs are understood.
    ///
    /// # Errors
    /// When there is no such partition, or a producer has sent a batch that does not decompress.
    pub fn records(&self, topic: &str, partition: i32) -> Result<Vec<Record>, BrokerError> {
        self.records_from(topic, partition, 0)
    }

    /// As [`records`](Self::records), beginning at `offset`.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn records_from(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Vec<Record>, BrokerError> {
        let partition = self.partition(topic, partition)?;
        let (start, batches) = {
            let log = partition.log.lock();
            (log.start().max(offset), log.batches_from(offset))
        };
        let mut records = Vec::new();
        for batch in batches {
            let decoded = batch.records();
            records.extend(decoded.map_err(|source| BrokerError::Decode {
                offset: batch.base_offset,
                source,
            })?);
        }
        records.retain(|record| record.offset >= start);
        Ok(records)
    }

    /// Forgets the records of a partition before `before_offset` and returns the new start, for a consumer to find
    /// its offset out of range.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn truncate(
        &self,
        topic: &str,
        partition: i32,
        before_offset: i64,
    ) -> Result<i64, BrokerError> {
        let start = self
            .partition(topic, partition)?
            .log
            .lock()
            .truncate(before_offset);
        self.shared.recorder.changed();
        Ok(start)
    }

    /// Offset the next record of a partition will get; none if there is no such partition.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Option<i64> {
        Some(
            self.shared
                .topics
                .partition(topic, partition)?
                .log
                .lock()
                .end(),
        )
    }

    /// Offset of the first record of a partition that is still there; none if there is no such partition.
    pub fn log_start(&self, topic: &str, partition: i32) -> Option<i64> {
        Some(
            self.shared
                .topics
                .partition(topic, partition)?
                .log
                .lock()
                .start(),
        )
    }

    /// Bytes of batches a partition holds; none if there is no such partition.
    pub fn log_bytes(&self, topic: &str, partition: i32) -> Option<usize> {
        Some(
            self.shared
                .topics
                .partition(topic, partition)?
                .log
                .lock()
                .bytes(),
        )
    }

    fn partition(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, BrokerError> {
        self.shared
            .topics
            .partition(topic, partition)
            .ok_or_else(|| BrokerError::UnknownPartition {
                topic: topic.to_owned(),
                partition,
            })
    }

    // Groups.

    /// The offset a group has committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let key = (topic.to_owned(), partition);
        let look = |group: &crate::group::Group| group.committed(&key).map(|c| c.offset);
        self.shared.coordinator.look(group, look).flatten()
    }

    /// Ids of the members of a group, sorted. They begin with the client id, or the static instance id.
    pub fn members(&self, group: &str) -> Vec<String> {
        let look =
            |group: &crate::group::Group| group.members().map(|member| member.id.clone()).collect();
        self.shared
            .coordinator
            .look(group, look)
            .unwrap_or_default()
    }

    /// The generation of a group, and whether all its members have their assignment; none if there is no such group.
    pub fn generation(&self, group: &str) -> Option<(i32, bool)> {
        self.shared
            .coordinator
            .look(group, |group| (group.generation(), group.is_stable()))
    }

    /// Throws a member out of its group; it learns of it at its next heartbeat or commit, with `UNKNOWN_MEMBER_ID`.
    ///
    /// # Errors
    /// When there is no such member.
    pub fn kick(&self, group: &str, member: &str) -> Result<(), BrokerError> {
        let kicked = self.shared.coordinator.with(group, |group| {
            group.leave(member, None, Departure::Kicked, Instant::now())
        });
        kicked
            .and_then(|kicked| kicked)
            .map_err(|_| BrokerError::UnknownMember {
                group: group.to_owned(),
                member: member.to_owned(),
            })
    }

    /// Makes all members of a group join again, as if one had come or gone. False if there is no such group.
    pub fn rebalance(&self, group: &str) -> bool {
        let known = self.shared.coordinator.look(group, |_| ()).is_some();
        known
            && self
                .shared
                .coordinator
                .with(group, |group| group.rebalance(Instant::now()))
                .is_ok()
    }

    // Events.

    /// Everything recorded that is still kept, see [`BrokerOptions::event_capacity`].
    pub fn events(&self) -> Vec<Event> {
        self.shared.recorder.since(0)
    }

    /// What was recorded from this sequence number on.
    pub fn events_since(&self, sequence: u64) -> Vec<Event> {
        self.shared.recorder.since(sequence)
    }

    /// Sequence number the next event will get: note it, act, and look at [`events_since`](Self::events_since).
    pub fn next_event(&self) -> u64 {
        self.shared.recorder.next()
    }

    /// Blocks until an event from `sequence` on fits, and returns it; none after `timeout`.
    pub fn wait_event(
        &self,
        sequence: u64,
        timeout: Duration,
        fits: impl Fn(&Event) -> bool,
    ) -> Option<Event> {
        self.wait(timeout, || {
            self.events_since(sequence)
                .into_iter()
                .find(|event| fits(event))
        })
    }

    /// Blocks until a group has committed at least `offset` for a partition; false after `timeout`.
    pub fn wait_committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        timeout: Duration,
    ) -> bool {
        let reached = || {
            self.committed(group, topic, partition)
                .is_some_and(|at| at >= offset)
        };
        self.wait(timeout, || reached().then_some(())).is_some()
    }

    /// Blocks until all of exactly `members` members of a group have their assignment; false after `timeout`.
    pub fn wait_stable(&self, group: &str, members: usize, timeout: Duration) -> bool {
        let stable = || {
            let look =
                |group: &crate::group::Group| group.is_stable() && group.members().len() == members;
            self.shared.coordinator.look(group, look).unwrap_or(false)
        };
        self.wait(timeout, || stable().then_some(())).is_some()
    }

    /// Blocks until `done` gives a value, asking again after each append, truncation and event; none after `timeout`.
    pub fn wait<T>(&self, timeout: Duration, done: impl FnMut() -> Option<T>) -> Option<T> {
        self.shared.recorder.wait(timeout, done)
    }

    /// Requests of this kind received since the start.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.shared.counted(api as i16)
    }

    // Faults.

    /// Refuses new connections and closes those there are. Records, groups and offsets stay; members whose sessions
    /// end meanwhile are removed.
    ///
    /// # Errors
    /// When the port could not be kept; [`come_up`](Self::come_up) tries again.
    pub fn go_down(&self) -> Result<(), BrokerError> {
        self.command(Command::Down)
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    /// When the port cannot be opened.
    pub fn come_up(&self) -> Result<(), BrokerError> {
        self.command(Command::Up)
    }

    /// Closes all connections; clients may come back at once.
    ///
    /// # Errors
    /// When the broker's thread has ended.
    pub fn drop_connections(&self) -> Result<(), BrokerError> {
        self.command(Command::Drop)
    }

    /// Delays every answer by this time, until it is set to zero.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.faults.set_latency(latency);
    }

    /// The next `times` requests of a kind meet a fault, after those earlier calls have spoken for.
    pub fn inject(&self, api: ApiKey, fault: Fault, times: usize) {
        self.shared.faults.inject(api, fault, times);
    }

    /// Forgets injected faults and the latency.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Has the broker's thread do something and waits until it is done.
    fn command(
        &self,
        command: impl FnOnce(std_mpsc::Sender<io::Error>) -> Command,
    ) -> Result<(), BrokerError> {
        let (failed, result) = std_mpsc::channel();
        self.commands
            .send(command(failed))
            .map_err(|_| BrokerError::Stopped)?;
        match result.recv() {
            Ok(source) => Err(BrokerError::Listen {
                port: self.port,
                source,
            }),
            Err(_) => Ok(()),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}
