//! Reading a range of a topic once, outside any group: dead letters, and what is to be looked at.
//!
//! A [`TopicReader`] joins nothing, commits nothing and creates nothing. Calls block; the longest
//! wait for the brokers is the timeout it was made with.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::KafkaError;
use super::client::set_cluster;
use super::report::Hearing;
use kafkamq_record::TopicPartition;
use kafkamq_settings::ClusterSettings;

/// How long one call of the client waits before what it reported is looked at.
const SLICE: Duration = Duration::from_millis(200);

/// How long a report may follow the failure it explains.
const REPORT_WAIT: Duration = Duration::from_millis(50);

/// A record with everything in it, detached from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    /// Its offset in the partition.
    pub(crate) offset: i64,
    /// Its timestamp in milliseconds since 1970, if it has one.
    pub(crate) timestamp: Option<i64>,
    /// Its key. `None` means that the record has none, which differs from an empty key.
    pub(crate) key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub(crate) value: Option<Bytes>,
    /// Its headers in order, repeated names included.
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

/// Reads one topic, partition by partition.
pub(crate) struct TopicReader {
    consumer: BaseConsumer<Hearing>,
    topic: String,
    timeout: Duration,
}

impl std::fmt::Debug for TopicReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicReader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// What is fetched ahead, and with one request of a partition; a larger record comes alone.
const PREFETCH_KBYTES: &str = "2048";
const FETCH_BYTES: &str = "1048576";

impl TopicReader {
    /// A reader of `topic` in `cluster`. The client wants the name of a group although none is
    /// joined; `group` should be one whose name may be used.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub(crate) fn try_new(
        cluster: &ClusterSettings,
        group: &str,
        topic: &str,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (key, value) in &cluster.librdkafka {
            config.set(key, value);
        }
        set_cluster(&mut config, cluster);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("statistics.interval.ms", "0")
            // Records are read one after the other, and the memory of the flow is not spent on them.
            .set("queued.max.messages.kbytes", PREFETCH_KBYTES)
            .set("fetch.message.max.bytes", FETCH_BYTES);
        Ok(Self {
            consumer: config
                .create_with_context(Hearing::new(cluster))
                .map_err(KafkaError::from_client)?,
            topic: topic.to_owned(),
            timeout,
        })
    }

    /// Its partitions, ascending; none if the topic does not exist.
    ///
    /// # Errors
    /// When no broker answers in time, or access is refused.
    pub(crate) fn partitions(&self) -> Result<Vec<i32>, KafkaError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), self.timeout)
            .map_err(|error| self.explain(error))?;
        let mut partitions = Vec::new();
        for topic in metadata.topics() {
            match topic.error().map(RDKafkaErrorCode::from) {
                None => partitions.extend(topic.partitions().iter().map(|found| found.id())),
                Some(
                    RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
                ) => {}
                Some(code) => {
                    return Err(self.explain(ClientError::MetadataFetch(code)));
                }
            }
        }
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// The offsets that `partition` holds now.
    ///
    /// # Errors
    /// When no broker answers in time, or there is no such partition.
    pub(crate) fn bounds(&self, partition: i32) -> Result<Range<i64>, KafkaError> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&self.topic, partition, self.timeout)
            .map_err(|error| self.explain(error))?;
        Ok(low..high)
    }

    /// The offset of the first record of `partition` that was written at this time or later, in
    /// milliseconds since 1970; `None` if there is no such record yet.
    ///
    /// # Errors
    /// When no broker answers in time, or there is no such partition.
    pub(crate) fn offset_at(&self, partition: i32, millis: i64) -> Result<Option<i64>, KafkaError> {
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(&self.topic, partition, Offset::Offset(millis))
            .map_err(KafkaError::from_client)?;
        let found = self
            .consumer
            .offsets_for_times(wanted, self.timeout)
            .map_err(|error| self.explain(error))?;
        let Some(element) = found.find_partition(&self.topic, partition) else {
            return Ok(None);
        };
        element.error().map_err(|error| self.explain(error))?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    /// The offset that the reader's group has committed for `partition`; `None` if it has none. The
    /// group is asked and not joined.
    ///
    /// # Errors
    /// When no broker answers in time, or the group may not be looked at.
    pub(crate) fn committed(&self, partition: i32) -> Result<Option<i64>, KafkaError> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&self.topic, partition);
        let committed = self
            .consumer
            .committed_offsets(wanted, self.timeout)
            .map_err(|error| self.explain(error))?;
        let element = committed.find_partition(&self.topic, partition);
        Ok(element.and_then(|element| match element.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        }))
    }

    /// Why a question was not answered. The client tells what is in the way only while it is polled.
    fn explain(&self, error: ClientError) -> KafkaError {
        while let Some(Err(_)) = self.consumer.poll(REPORT_WAIT) {}
        self.consumer
            .context()
            .explain(KafkaError::from_client(error))
    }

    /// The records of `partition` whose offsets lie in `offsets`, in order. Offsets that are gone, or
    /// that hold no records, are passed over; [`bounds`](Self::bounds) says what is there.
    ///
    /// # Errors
    /// When the client refuses the partition. What fails later is an item of the iterator, the last.
    pub(crate) fn read(
        &self,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<Records<'_>, KafkaError> {
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic, partition, Offset::Offset(offsets.start))
            .and_then(|()| self.consumer.assign(&assignment))
            .map_err(KafkaError::from_client)?;
        Ok(Records {
            reader: self,
            partition,
            done: offsets.is_empty(),
            offsets,
        })
    }
}

/// Records of a [`TopicReader`]. One at a time is read from a reader.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    reader: &'a TopicReader,
    partition: i32,
    /// Those still wanted.
    offsets: Range<i64>,
    done: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<StoredRecord, KafkaError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let deadline = Instant::now() + self.reader.timeout;
        let mut last = None;
        loop {
            match self.reader.consumer.poll(SLICE) {
                Some(Ok(message)) if message.partition() != self.partition => {}
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset < self.offsets.start {
                        continue;
                    }
                    if offset >= self.offsets.end {
                        break;
                    }
                    self.offsets.start = offset + 1;
                    self.done = self.offsets.is_empty();
                    return Some(Ok(detach(&message)));
                }
                // The last offsets of a partition may hold something other than records, such as the
                // end of a transaction.
                Some(Err(ClientError::PartitionEOF(partition))) if partition == self.partition => {
                    break;
                }
                Some(Err(ClientError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => {
                    let error = KafkaError::from_client(error);
                    // The client goes on trying after all others.
                    if error.needs_operator() || error.is_unknown_topic() {
                        self.done = true;
                        return Some(Err(self.reader.consumer.context().explain(error)));
                    }
                    last = Some(error);
                }
            }
            if Instant::now() >= deadline {
                self.done = true;
                let source = TopicPartition::new(&*self.reader.topic, self.partition);
                let error = last.unwrap_or(KafkaError::Silent(source));
                return Some(Err(self.reader.consumer.context().explain(error)));
            }
        }
        self.done = true;
        None
    }
}

fn detach(message: &BorrowedMessage<'_>) -> StoredRecord {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| {
                let value = header.value.map(Bytes::copy_from_slice);
                (header.key.to_owned(), value)
            })
            .collect()
    });
    StoredRecord {
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers.unwrap_or_default(),
    }
}
