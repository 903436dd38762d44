//! Reading one assigned partition.
//!
//! Each assigned partition has a queue of its own inside the client library. [`PartitionReader`]
//! takes whole batches from it with one native call and copies them into an arena at once: a
//! message kept any longer would pin its whole fetch buffer. Not reading is all the back-pressure
//! there is: the queue fills up to its limit and fetching stops.
//!
//! This file holds the only unsafe code of the package. It owns three invariants: a queue handle
//! lives as long as its consumer (the reader holds the consumer), every message taken is destroyed
//! before the next is taken, and the wake-up callback is disabled before it is freed.

#![expect(
    unsafe_code,
    reason = "the batch call exists only in the native interface"
)]

use std::ffi::{CString, c_void};
use std::ptr;
use std::slice;
use std::sync::Arc;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use super::context::PollContext;
use super::stretch::Stretch;
use kafkamq_record::NextOffset;
use kafkamq_record::{RecordBatch, RecordBatchBuilder, TopicPartition};

/// Called from a thread of the client library when the partition's queue turns non-empty. It must
/// only hand the news on; it may be called late, or once for many records.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// What one read brought.
#[derive(Debug)]
pub struct ReadResult {
    /// The records, possibly none.
    pub batch: RecordBatch,
    /// Errors that the queue held in between, such as a lost authorization.
    pub errors: Vec<KafkaError>,
}

/// The reading end of one assigned partition, for one assignment.
pub struct PartitionReader {
    source: TopicPartition,
    queue: *mut native::rd_kafka_queue_t,
    messages: Vec<*mut native::rd_kafka_message_t>,
    wake: Option<*mut Wake>,
    start: Option<NextOffset>,
    /// What is read outside the group, if that is so.
    stretch: Option<Arc<Stretch>>,
    consumer: Arc<BaseConsumer<PollContext>>,
}

// SAFETY: queue and message handles are used by one owner at a time (`&mut self`), and the client
// library's queue functions may be called from any thread.
unsafe impl Send for PartitionReader {}

impl PartitionReader {
    /// Takes the partition's queue out of the consumer's common queue. Must run before the
    /// partition is assigned, so that no record reaches the common queue.
    pub(super) fn split(
        consumer: &Arc<BaseConsumer<PollContext>>,
        source: TopicPartition,
        start: Option<NextOffset>,
    ) -> Result<Self, KafkaError> {
        let topic = CString::new(&*source.topic)
            .map_err(|_| KafkaError::InvalidTopic(source.topic.to_string()))?;
        // SAFETY: the client handle is alive (we hold the consumer), the topic is NUL-terminated.
        let queue = unsafe {
            native::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                source.partition,
            )
        };
        if queue.is_null() {
            return Err(KafkaError::UnknownPartition(source));
        }
        // SAFETY: `queue` was checked; a null target takes the queue out of the common one.
        unsafe { native::rd_kafka_queue_forward(queue, ptr::null_mut()) };
        Ok(Self {
            source,
            queue,
            messages: Vec::new(),
            wake: None,
            start,
            stretch: None,
            consumer: Arc::clone(consumer),
        })
    }

    /// Reads no more than `stretch`, outside the group.
    pub(super) fn within(mut self, stretch: Arc<Stretch>) -> Self {
        self.stretch = Some(stretch);
        self
    }

    /// The partition being read.
    #[must_use]
    pub const fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// The offset at which reading begins, where it was known when the partition was assigned.
    #[must_use]
    pub const fn start(&self) -> Option<NextOffset> {
        self.start
    }

    /// Has `wake` called whenever the queue turns from empty to non-empty.
    pub fn on_nonempty(&mut self, wake: Wake) {
        unsafe extern "C" fn call(_client: *mut native::rd_kafka_t, opaque: *mut c_void) {
            // SAFETY: `opaque` is the `Wake` registered below, freed only after the callback was
            // disabled; the library calls back under the queue's lock.
            unsafe { (*opaque.cast::<Wake>())() };
        }
        self.clear_wake();
        let wake = Box::into_raw(Box::new(wake));
        self.wake = Some(wake);
        // SAFETY: the queue is alive and `wake` stays valid until `clear_wake`.
        unsafe {
            native::rd_kafka_queue_cb_event_enable(self.queue, Some(call), wake.cast());
        }
    }

    /// Takes up to `max_records` records that are there already; never waits.
    pub fn read(&mut self, max_records: usize) -> ReadResult {
        if self.stretch.as_ref().is_some_and(|own| own.is_reached()) {
            return ReadResult {
                batch: RecordBatchBuilder::with_capacity(self.source.clone(), 0, 0).build(),
                errors: Vec::new(),
            };
        }
        self.messages.resize(max_records, ptr::null_mut());
        // SAFETY: the buffer has room for `max_records` message pointers.
        let taken = unsafe {
            native::rd_kafka_consume_batch_queue(
                self.queue,
                0,
                self.messages.as_mut_ptr(),
                max_records,
            )
        };
        let taken = usize::try_from(taken).unwrap_or(0).min(max_records);
        let messages = self.messages.get(..taken).unwrap_or_default();

        // SAFETY: the first `taken` pointers are valid messages that this reader owns.
        let bytes = messages
            .iter()
            .map(|&m| unsafe { (*m).len + (*m).key_len })
            .sum();
        let mut builder = RecordBatchBuilder::with_capacity(self.source.clone(), taken, bytes);
        let mut errors = Vec::new();
        for &message in messages {
            // SAFETY: a valid message as above; it is destroyed right after being copied and its
            // pointer is not used again.
            unsafe {
                match (*message).err {
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => copy(&mut builder, message),
                    error => errors.push(KafkaError::Partition {
                        partition: self.source.clone(),
                        code: RDKafkaErrorCode::from(error),
                        detail: payload(message)
                            .map(|text| String::from_utf8_lossy(text).into_owned())
                            .unwrap_or_default(),
                    }),
                }
                native::rd_kafka_message_destroy(message);
            }
        }
        errors.retain(|error| !self.resumed(error));
        let mut batch = builder.build();
        if let Some(stretch) = &self.stretch {
            batch = stretch.clip(batch);
            errors.retain(|error| !stretch.ends_with(error));
        }
        ReadResult { batch, errors }
    }

    /// Whether `error` said that the offset no longer exists and reading goes on elsewhere now.
    fn resumed(&self, error: &KafkaError) -> bool {
        let out_of_range = matches!(
            error,
            KafkaError::Partition {
                code: RDKafkaErrorCode::AutoOffsetReset,
                ..
            }
        );
        out_of_range && self.consumer.context().lost_offset()
    }

    /// Stores the offset that the next commit carries for this partition. Does nothing once the
    /// partition belongs to somebody else.
    ///
    /// # Errors
    /// When the client refuses the offset for another reason than a lost assignment.
    pub fn store(&self, next: NextOffset) -> Result<(), KafkaError> {
        if let Some(stretch) = &self.stretch {
            // What a stretch remembers needs no broker: it is confirmed at once.
            stretch.settle(next);
            let confirmed = vec![(self.source.clone(), next)];
            self.consumer.context().listener.committed(confirmed);
            return Ok(());
        }
        store(&self.consumer, &self.source, next)
    }

    /// Asks for a commit of everything that is stored now, without waiting for it. The listener
    /// hears how it ended.
    ///
    /// # Errors
    /// When the client has no group.
    pub fn commit(&self) -> Result<(), KafkaError> {
        if self.stretch.is_some() {
            return Ok(());
        }
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client handle is alive, and the library counts the uses of the queue. The
        // answer goes to the queue that the poll thread serves: the plain call for a commit would
        // drop it, since answers are taken as events and not by a callback of the configuration.
        let error = unsafe {
            let answers = native::rd_kafka_queue_get_consumer(client);
            if answers.is_null() {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_GROUP
            } else {
                let error = native::rd_kafka_commit_queue(
                    client,
                    ptr::null(),
                    answers,
                    None,
                    ptr::null_mut(),
                );
                native::rd_kafka_queue_destroy(answers);
                error
            }
        };
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(KafkaError::Client(
                rdkafka::error::KafkaError::ConsumerCommit(error.into()),
            )),
        }
    }

    /// The partition's low and high watermark as the client saw them last; no request is made.
    #[must_use]
    pub fn watermarks(&self) -> Option<(i64, i64)> {
        let topic = CString::new(&*self.source.topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client handle is alive and both out pointers are valid.
        let error = unsafe {
            native::rd_kafka_get_watermark_offsets(
                self.consumer.client().native_ptr(),
                topic.as_ptr(),
                self.source.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        let known = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && low >= 0 && high >= 0;
        known.then_some((low, high))
    }

    fn clear_wake(&mut self) {
        if let Some(wake) = self.wake.take() {
            // SAFETY: disabling takes the queue's lock, so no callback runs afterwards; the pointer
            // came from `Box::into_raw` and is freed once.
            unsafe {
                native::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
                drop(Box::from_raw(wake));
            }
        }
    }
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        self.clear_wake();
        // SAFETY: the handle came from `rd_kafka_queue_get_partition` and is destroyed once, while
        // the consumer is still alive.
        unsafe { native::rd_kafka_queue_destroy(self.queue) };
    }
}

/// Stores `next` for the next commit of `source`.
pub(super) fn store(
    consumer: &BaseConsumer<PollContext>,
    source: &TopicPartition,
    next: NextOffset,
) -> Result<(), KafkaError> {
    let mut offsets = TopicPartitionList::with_capacity(1);
    offsets
        .add_partition_offset(&source.topic, source.partition, Offset::Offset(next.0))
        .and_then(|()| consumer.store_offsets(&offsets))
        .or_else(|error| match error.rdkafka_error_code() {
            // The assignment ended between the acknowledgement and this call.
            Some(RDKafkaErrorCode::State | RDKafkaErrorCode::UnknownPartition) => Ok(()),
            _ => Err(KafkaError::Client(error)),
        })
}

/// # Safety
/// `message` points to a valid message.
unsafe fn payload<'a>(message: *const native::rd_kafka_message_t) -> Option<&'a [u8]> {
    // SAFETY: by contract; the library keeps `len` bytes at a non-null payload.
    unsafe {
        if (*message).payload.is_null() {
            return None;
        }
        Some(slice::from_raw_parts(
            (*message).payload.cast(),
            (*message).len,
        ))
    }
}

/// # Safety
/// `message` points to a valid message without error.
unsafe fn copy(builder: &mut RecordBatchBuilder, message: *const native::rd_kafka_message_t) {
    // SAFETY: by contract; key, payload and header pointers are valid while the message is.
    unsafe {
        let key = (!(*message).key.is_null())
            .then(|| slice::from_raw_parts((*message).key.cast(), (*message).key_len));
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp = native::rd_kafka_message_timestamp(message, &raw mut kind);
        builder.push((*message).offset, timestamp, key, payload(message));

        let mut headers = ptr::null_mut();
        if native::rd_kafka_message_headers(message, &raw mut headers)
            != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let found = native::rd_kafka_header_get_all(
                headers,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            );
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                break;
            }
            let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast(), size));
            builder.push_header(std::ffi::CStr::from_ptr(name).to_bytes(), value);
        }
    }
}
