//! The limit that everything else is measured against: a loop over the native batch call that
//! copies each payload into an arena and does nothing more with it.
//!
//! It reads as [`PartitionReader`](super::PartitionReader) does, with the same client settings, so
//! whatever the service needs on top of it is the service's own.

#![expect(
    unsafe_code,
    reason = "the batch call exists only in the native interface"
)]

use std::ffi::CString;
use std::ptr;
use std::slice;
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::KafkaError;
use kafkamq_record::TopicPartition;

/// Records that one call takes, as in `limits.batch_records`.
const BATCH: usize = 1000;
/// Pause when no queue holds anything.
const IDLE: Duration = Duration::from_millis(1);
/// Without a record for this long the loop gives up.
const STALL: Duration = Duration::from_secs(20);

/// What the loop read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BareReading {
    /// How many records were read.
    pub(crate) records: u64,
    /// Bytes of their values.
    pub(crate) bytes: u64,
    /// Time from the first batch to the last record.
    pub(crate) took: Duration,
}

/// The queue of one partition; destroyed before its consumer is.
struct Queue<'a> {
    handle: *mut native::rd_kafka_queue_t,
    _consumer: &'a BaseConsumer,
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_queue_get_partition` and is destroyed once, while
        // the consumer that it borrows is alive.
        unsafe { native::rd_kafka_queue_destroy(self.handle) };
    }
}

/// Reads `records` records of `sources` from their beginning, or fewer if no more come for a while.
///
/// # Errors
/// When the client cannot be made or refuses the partitions.
#[expect(
    clippy::disallowed_methods,
    reason = "the loop has a process of its own"
)]
pub(crate) fn read_bare(
    bootstrap: &str,
    sources: &[TopicPartition],
    records: u64,
) -> Result<BareReading, KafkaError> {
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", bootstrap),
        ("group.id", "kafkamq-bench-bare"),
        ("enable.auto.commit", "false"),
        ("enable.metrics.push", "false"),
        // As the service sets them, see `client::consumer_config`.
        ("queued.max.messages.kbytes", "2048"),
        ("fetch.message.max.bytes", "262144"),
        ("fetch.queue.backoff.ms", "5"),
        ("queued.min.messages", "10000"),
    ] {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create().map_err(KafkaError::from_client)?;
    let mut assignment = TopicPartitionList::new();
    let mut queues = Vec::new();
    for source in sources {
        assignment
            .add_partition_offset(&source.topic, source.partition, Offset::Beginning)
            .map_err(KafkaError::from_client)?;
        queues.push(split(&consumer, source)?);
    }
    consumer
        .assign(&assignment)
        .map_err(KafkaError::from_client)?;

    let mut reading = BareReading::default();
    let mut messages = vec![ptr::null_mut(); BATCH];
    let (mut began, mut last) = (None, Instant::now());
    while reading.records < records && last.elapsed() < STALL {
        let mut found = false;
        for queue in &queues {
            let (taken, bytes) = read(queue, &mut messages);
            if taken > 0 {
                found = true;
                last = Instant::now();
                began.get_or_insert(last);
                reading.records += taken;
                reading.bytes += bytes;
            }
        }
        if !found {
            // Serves what is not a record.
            drop(consumer.poll(Duration::ZERO));
            std::thread::sleep(IDLE);
        }
    }
    reading.took = began.map_or(Duration::ZERO, |began| last - began);
    Ok(reading)
}

fn split<'a>(consumer: &'a BaseConsumer, source: &TopicPartition) -> Result<Queue<'a>, KafkaError> {
    let topic = CString::new(&*source.topic)
        .map_err(|_| KafkaError::InvalidTopic(source.topic.to_string()))?;
    // SAFETY: the client is alive and the topic NUL-terminated.
    let handle = unsafe {
        native::rd_kafka_queue_get_partition(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            source.partition,
        )
    };
    if handle.is_null() {
        return Err(KafkaError::UnknownPartition(source.clone()));
    }
    // SAFETY: `handle` was checked; a null target takes the queue out of the common one.
    unsafe { native::rd_kafka_queue_forward(handle, ptr::null_mut()) };
    Ok(Queue {
        handle,
        _consumer: consumer,
    })
}

/// One batch into one arena, which is dropped as the service drops it once it is settled.
fn read(queue: &Queue<'_>, messages: &mut [*mut native::rd_kafka_message_t]) -> (u64, u64) {
    // SAFETY: the queue is alive and the buffer holds as many pointers as it says.
    let taken = unsafe {
        native::rd_kafka_consume_batch_queue(queue.handle, 0, messages.as_mut_ptr(), messages.len())
    };
    let taken = usize::try_from(taken).unwrap_or(0);
    let messages = messages.get(..taken).unwrap_or_default();
    // SAFETY: the first `taken` pointers are valid messages that are ours.
    let bytes = messages.iter().map(|&m| unsafe { (*m).len }).sum();
    let mut arena: Vec<u8> = Vec::with_capacity(bytes);
    let mut records = 0;
    for &message in messages {
        // SAFETY: valid as above; the payload is read before the message is destroyed, once.
        unsafe {
            if (*message).err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                records += 1;
                if !(*message).payload.is_null() {
                    let payload = slice::from_raw_parts((*message).payload.cast(), (*message).len);
                    arena.extend_from_slice(payload);
                }
            }
            native::rd_kafka_message_destroy(message);
        }
    }
    (records, std::hint::black_box(&arena).len() as u64)
}
