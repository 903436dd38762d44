//! The stage of traps that is librdkafka, with any brokers: the calls that kafkamq reads and seeks with.

#![expect(unsafe_code, reason = "these calls exist only in the native interface")]
#![expect(
    clippy::expect_used,
    reason = "brokers that do not do what a trap asks for end its test"
)]

use std::collections::HashMap;
use std::ffi::CString;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kafkamq_sim::traps::{Ability, At, Reset, Stage, Told};
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{IsError as _, KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::broker::Broker;

const LIMIT: Duration = Duration::from_secs(30);
/// So long the first thing is awaited: the client may ask a broker again after a second.
const FIRST: Duration = Duration::from_secs(4);
/// So long more of it is awaited.
const MORE: Duration = Duration::from_millis(1500);
/// So long something is awaited behind the end.
const BEHIND_END: Duration = Duration::from_millis(300);

/// librdkafka at brokers.
pub struct Librdkafka {
    bootstrap: String,
    admin: Broker,
    has_transactions: bool,
    number: u32,
    topic: String,
    consumer: Option<Arc<BaseConsumer>>,
    producer: BaseProducer,
    queues: HashMap<i32, Queue>,
}

/// The queue of a partition, taken out of the common one.
struct Queue {
    queue: *mut native::rd_kafka_queue_t,
    /// It lives as long as its client.
    _consumer: Arc<BaseConsumer>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_queue_get_partition` and is destroyed once, while the client
        // is alive.
        unsafe { native::rd_kafka_queue_destroy(self.queue) };
    }
}

impl std::fmt::Debug for Librdkafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Librdkafka")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Librdkafka {
    /// A stage at the brokers of `bootstrap`.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn at(bootstrap: &str, has_transactions: bool) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("log_level", "0")
            .create()?;
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            admin: Broker::at(bootstrap)?,
            has_transactions,
            number: 0,
            topic: String::new(),
            consumer: None,
            producer,
            queues: HashMap::new(),
        })
    }

    fn consumer(&self) -> &Arc<BaseConsumer> {
        self.consumer.as_ref().expect("a trap begins first")
    }

    fn list(&self, partition: i32, offset: Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, offset)
            .expect("the offset is valid");
        list
    }

    fn split(&self, partition: i32) -> Result<Queue> {
        let consumer = self.consumer();
        let topic = CString::new(self.topic.as_str())?;
        // SAFETY: the client is alive and the topic ends with NUL; a null target takes the queue out of the
        // common one.
        let queue = unsafe {
            let client = consumer.client().native_ptr();
            let queue = native::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            anyhow::ensure!(!queue.is_null(), "the partition has no queue");
            native::rd_kafka_queue_forward(queue, ptr::null_mut());
            queue
        };
        Ok(Queue {
            queue,
            _consumer: Arc::clone(consumer),
        })
    }

    fn send(&self, producer: &BaseProducer, partition: i32, value: &str, time_ms: Option<i64>) {
        let mut record = BaseRecord::<(), str>::to(&self.topic)
            .partition(partition)
            .payload(value);
        record.timestamp = time_ms;
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .and_then(|()| producer.flush(LIMIT))
            .expect("the record is written");
    }

    /// One message of a queue, if one comes in time.
    fn take(queue: &Queue, limit: Duration) -> Option<Told> {
        let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the message is ours and destroyed once.
        unsafe {
            let message = native::rd_kafka_consume_queue(queue.queue, limit);
            if message.is_null() {
                return None;
            }
            let offset = (*message).offset;
            let told = match (*message).err {
                error if !error.is_error() => {
                    let value =
                        std::slice::from_raw_parts((*message).payload.cast::<u8>(), (*message).len);
                    Told::Record(offset, String::from_utf8_lossy(value).into_owned())
                }
                native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Told::End(offset),
                error => Told::Error(format!("{:?}", RDKafkaErrorCode::from(error))),
            };
            native::rd_kafka_message_destroy(message);
            Some(told)
        }
    }
}

fn refused<T>(result: Result<T, KafkaError>) -> Result<(), String> {
    result
        .map(drop)
        .map_err(|error| named(error.rdkafka_error_code()))
}

fn named(code: Option<RDKafkaErrorCode>) -> String {
    match code {
        // What a partition that is not assigned is refused with.
        Some(RDKafkaErrorCode::State | RDKafkaErrorCode::UnknownPartition) => "state".to_owned(),
        Some(code) => format!("{code:?}"),
        None => "no code".to_owned(),
    }
}

fn first_error(list: &TopicPartitionList) -> Result<(), String> {
    for element in list.elements() {
        refused(element.error())?;
    }
    Ok(())
}

impl Stage for Librdkafka {
    fn can(&self, ability: Ability) -> bool {
        match ability {
            Ability::Transactions => self.has_transactions,
            // It takes several brokers of which one lagged behind.
            Ability::Truncation => false,
        }
    }

    fn begin(&mut self, partitions: i32, reset: Reset) {
        self.queues.clear();
        self.number += 1;
        self.topic = format!("trap-{}", self.number);
        self.admin
            .create_topic(&self.topic, partitions)
            .expect("the topic is made");
        let reset = match reset {
            Reset::Oldest => "earliest",
            Reset::Newest => "latest",
        };
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", &self.topic)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("allow.auto.create.topics", "false")
            .set("fetch.wait.max.ms", "50")
            .set("auto.offset.reset", reset)
            .set("log_level", "0")
            .create()
            .expect("the client starts");
        self.consumer = Some(Arc::new(consumer));
    }

    fn write(&mut self, partition: i32, values: &[&str]) {
        for value in values {
            self.send(&self.producer, partition, value, None);
        }
    }

    fn write_at(&mut self, partition: i32, value: &str, time_ms: i64) {
        self.send(&self.producer, partition, value, Some(time_ms));
    }

    fn write_transaction(&mut self, partition: i32, values: &[&str]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("transactional.id", &self.topic)
            .set("log_level", "0")
            .create()
            .expect("the producer starts");
        producer.init_transactions(LIMIT).expect("transactions");
        producer.begin_transaction().expect("a transaction begins");
        for value in values {
            self.send(&producer, partition, value, None);
        }
        producer.commit_transaction(LIMIT).expect("it is committed");
    }

    fn remove_below(&mut self, partition: i32, offset: i64) {
        self.admin
            .delete_records(&self.topic, partition, offset)
            .expect("records are removed");
    }

    fn truncate(&mut self, _: i32, _: i64) {
        unreachable!("this stage says that it cannot");
    }

    fn recreate(&mut self, partitions: i32) {
        self.admin
            .recreate_topic(&self.topic, partitions)
            .expect("the topic is made again");
    }

    fn assign(&mut self, partition: i32, offset: i64) {
        // Before it is assigned, so that nothing reaches the common queue.
        let queue = self.split(partition).expect("a queue");
        let list = self.list(partition, Offset::Offset(0));
        let consumer = self.consumer();
        consumer
            .incremental_assign(&list)
            .and_then(|()| consumer.pause(&list))
            .expect("the partition is assigned");
        self.queues.insert(partition, queue);
        self.seek(partition, offset, None)
            .expect("the client goes to the position");
    }

    fn unassign(&mut self, partition: i32) {
        let list = self.list(partition, Offset::Invalid);
        self.consumer()
            .incremental_unassign(&list)
            .expect("the partition is taken away");
    }

    fn pause(&mut self, partition: i32) -> Result<(), String> {
        let list = self.list(partition, Offset::Invalid);
        refused(self.consumer().pause(&list)).and_then(|()| first_error(&list))
    }

    fn resume(&mut self, partition: i32) -> Result<(), String> {
        let list = self.list(partition, Offset::Invalid);
        refused(self.consumer().resume(&list)).and_then(|()| first_error(&list))
    }

    fn seek(&mut self, partition: i32, offset: i64, epoch: Option<i32>) -> Result<(), String> {
        let list = self.list(partition, Offset::Offset(offset));
        let limit = i32::try_from(LIMIT.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: client and list are alive, the list has one element, and the error is ours to destroy.
        let error = unsafe {
            native::rd_kafka_topic_partition_set_leader_epoch(
                (*list.ptr()).elems,
                epoch.unwrap_or(-1),
            );
            let client = self.consumer().client().native_ptr();
            let error = native::rd_kafka_seek_partitions(client, list.ptr(), limit);
            let code = (!error.is_null()).then(|| native::rd_kafka_error_code(error));
            native::rd_kafka_error_destroy(error);
            code
        };
        match error {
            Some(code) => Err(named(Some(code.into()))),
            None => first_error(&list),
        }
    }

    fn await_fetched(&mut self, partition: i32) {
        let Some(queue) = self.queues.get(&partition) else {
            return;
        };
        let deadline = Instant::now() + LIMIT;
        let (mut length, mut since) = (0, Instant::now());
        while Instant::now() < deadline && (length == 0 || since.elapsed() < MORE) {
            // SAFETY: the queue is alive.
            let now = unsafe { native::rd_kafka_queue_length(queue.queue) };
            if now != length {
                (length, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn read(&mut self, partition: i32, most: usize) -> Vec<Told> {
        // Serves what the client has to say besides.
        drop(self.consumer().poll(Duration::ZERO));
        let Some(queue) = self.queues.get(&partition) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        let mut limit = FIRST;
        while told.len() < most
            && let Some(one) = Self::take(queue, limit)
        {
            limit = match one {
                Told::End(_) => BEHIND_END,
                _ => MORE,
            };
            told.push(one);
        }
        told
    }

    fn watermarks(&mut self, partition: i32) -> Option<(i64, i64)> {
        let topic = CString::new(self.topic.as_str()).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, and so are both numbers that it writes.
        let error = unsafe {
            let client = self.consumer().client().native_ptr();
            native::rd_kafka_get_watermark_offsets(
                client,
                topic.as_ptr(),
                partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (!error.is_error() && low >= 0 && high >= 0).then_some((low, high))
    }

    fn commit(&mut self, partition: i32, offset: i64, memo: &str) -> Result<(), String> {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&self.topic, partition);
        element
            .set_offset(Offset::Offset(offset))
            .expect("the offset is valid");
        element.set_metadata(memo);
        refused(self.consumer().commit(&list, CommitMode::Sync))
    }

    fn committed(&mut self, partition: i32) -> Option<(i64, String)> {
        let list = self.list(partition, Offset::Invalid);
        let known = self
            .consumer()
            .committed_offsets(list, LIMIT)
            .context("the group's offsets are told")
            .expect("the coordinator answers");
        let element = known.find_partition(&self.topic, partition)?;
        match element.offset() {
            Offset::Offset(offset) => Some((offset, element.metadata().to_owned())),
            _ => None,
        }
    }

    fn offset_at(&mut self, partition: i32, at: At) -> Option<i64> {
        let wanted = match at {
            At::Oldest => Offset::Beginning,
            At::Newest => Offset::End,
            At::Time(ms) => Offset::Offset(ms),
        };
        let list = self.list(partition, wanted);
        let told = self
            .consumer()
            .offsets_for_times(list, LIMIT)
            .expect("the brokers name an offset");
        match told.find_partition(&self.topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}
