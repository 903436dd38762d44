//! Reading one assigned partition.
//!
//! Each assigned partition has a queue of its own inside the client library. [`PartitionReader`]
//! takes whole batches from it with one native call and copies them into an arena at once: a
//! message kept any longer would pin its whole fetch buffer. Not reading is all the back-pressure
//! there is: the queue fills up to its limit and fetching stops.
//!
//! A reader is *placed* before it reads: at the position that was found for it, under the lease that
//! lets it commit. When the log is replaced or the position turns out not to exist, it is placed anew.
//!
//! The unsafe code here owns three invariants: a queue handle lives as long as its consumer (the reader
//! holds the consumer), every message taken is destroyed before the next is taken, and the wake-up
//! callback is disabled before it is freed.

#![expect(
    unsafe_code,
    reason = "the batch call exists only in the native interface"
)]

use std::ffi::{CString, c_void};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use super::KafkaError;
use super::context::PollContext;
use super::native as calls;
use super::replay_range::ReplayRange;
use kafkamq_record::{
    Epochs, NextOffset, Position, RecordBatch, RecordBatchBuilder, TopicPartition,
};
use kafkamq_source::commits::Confirmed;
use kafkamq_source::lease::{Generation, Lease};
use kafkamq_source::positions::Sought;
use kafkamq_source::start::Why;

/// Called from a thread of the client library when the partition's queue turns non-empty. It must
/// only hand the news on; it may be called late, or once for many records.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync>;

/// The client answers a seek within milliseconds; after this it is tried again.
const SEEK_TIMEOUT: Duration = Duration::from_secs(1);

/// Messages that are freed with one call.
const DISCARDED_AT_ONCE: usize = 64;

/// Where a partition is read from, and by which right.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The position of the next record.
    pub(crate) start: Position,
    /// The lease from now on; `None` if the one before stays in force.
    pub(crate) lease: Option<Lease>,
    /// Why it is there.
    pub(crate) why: Why,
}

/// What one read brought.
#[derive(Debug)]
pub(crate) struct ReadResult {
    /// The records, possibly none.
    pub(crate) batch: RecordBatch,
    /// Their leader epochs.
    pub(crate) epochs: Epochs,
    /// The offset behind everything there is, if reading got there: behind the last record, and behind
    /// what is not a record, such as the end of a transaction.
    pub(crate) end: Option<i64>,
    /// Errors that the queue held in between, such as a lost authorization.
    pub(crate) errors: Vec<KafkaError>,
}

/// The reading end of one assigned partition, for one assignment.
pub(crate) struct PartitionReader {
    source: TopicPartition,
    queue: *mut native::rd_kafka_queue_t,
    messages: Vec<*mut native::rd_kafka_message_t>,
    wake: Option<*mut Wake>,
    /// Of the assignment.
    generation: Generation,
    lease: Option<Lease>,
    /// Where to go before anything is read.
    start: Option<Position>,
    /// Whether it was told where to read.
    placed: bool,
    /// What is read outside the group, if that is so, and its first offset.
    range: Option<Arc<ReplayRange>>,
    first: Option<NextOffset>,
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
        generation: Generation,
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
            generation,
            lease: None,
            start: None,
            placed: false,
            range: None,
            first: None,
            consumer: Arc::clone(consumer),
        })
    }

    /// Reads no more than `range`, outside the group.
    pub(super) fn within(mut self, range: Arc<ReplayRange>, first: NextOffset) -> Self {
        self.first = Some(first);
        self.range = Some(range);
        self.placed = true;
        self
    }

    /// The partition being read.
    #[must_use]
    pub(crate) const fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// The first offset of what is read outside the group.
    #[must_use]
    pub(crate) const fn first(&self) -> Option<NextOffset> {
        self.first
    }

    /// The number that confirmed commits of this reader carry.
    #[must_use]
    pub(crate) fn generation(&self) -> Generation {
        let lease = self.lease.as_ref();
        lease.map_or(self.generation, Lease::generation)
    }

    /// Whether records can be read: the position is known and the client is there.
    #[must_use]
    pub(crate) const fn is_placed(&self) -> bool {
        self.placed && self.start.is_none()
    }

    /// Whether it knows where to read and the client is not there.
    #[must_use]
    pub(crate) const fn is_bound(&self) -> bool {
        self.placed && self.start.is_some()
    }

    /// Stops fetching and gives back what was fetched; `at` is where the first record stands that was
    /// not read.
    /// Reading goes on with [`PartitionReader::go_there`]. Returns whether it does: what is read
    /// outside the group never rests.
    ///
    /// # Errors
    /// When the client is not ready for it; it fetches as before then.
    pub(crate) fn rest(&mut self, at: Position) -> Result<bool, KafkaError> {
        if self.range.is_some() || !self.is_placed() {
            return Ok(false);
        }
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.source.topic, self.source.partition);
        calls::pause(self.consumer.client().native_ptr(), &list, true)?;
        self.start = Some(at);
        self.discard();
        Ok(true)
    }

    /// Frees what the queue holds. After a pause the client itself drops it as soon as it is asked for.
    fn discard(&mut self) {
        self.messages.resize(DISCARDED_AT_ONCE, ptr::null_mut());
        loop {
            // SAFETY: the buffer has room for as many message pointers as are asked for.
            let taken = unsafe {
                native::rd_kafka_consume_batch_queue(
                    self.queue,
                    0,
                    self.messages.as_mut_ptr(),
                    DISCARDED_AT_ONCE,
                )
            };
            let taken = usize::try_from(taken).unwrap_or(0).min(DISCARDED_AT_ONCE);
            for &message in self.messages.get(..taken).unwrap_or_default() {
                // SAFETY: a valid message that this reader owns; it is destroyed once.
                unsafe { native::rd_kafka_message_destroy(message) };
            }
            if taken < DISCARDED_AT_ONCE {
                return;
            }
        }
    }

    /// Has reading go on elsewhere. Nothing that was fetched before is read any more.
    pub(crate) fn place(&mut self, start: Position, lease: Option<Lease>) {
        self.placed = true;
        self.start = Some(start);
        if lease.is_some() {
            self.lease = lease;
        }
    }

    /// Takes the client to where reading goes on. Blocks for as long as the client takes to hear of
    /// it, which is not time on the network.
    ///
    /// # Errors
    /// When the client is not ready for it; it is to be tried again.
    pub(crate) fn go_there(&mut self) -> Result<(), KafkaError> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let client = self.consumer.client().native_ptr();
        calls::seek(client, &self.source, start, SEEK_TIMEOUT)?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.source.topic, self.source.partition);
        calls::pause(client, &list, false)?;
        self.start = None;
        Ok(())
    }

    /// The client went on at `seen` by itself, although the next record was expected at `at`. Returns
    /// whether that may be; if not, nothing is read until the reader is placed anew.
    pub(crate) fn jumped(&mut self, at: Position, seen: i64) -> bool {
        let context = self.consumer.context();
        if self.range.is_some() || (seen > at.next.0 && context.client_resets) {
            return true;
        }
        self.placed = false;
        let sought = Sought::OutOfRange {
            at: at.next.0,
            seen,
            compares: at.epoch.is_some(),
        };
        context.jumped(&self.source, sought);
        false
    }

    /// Has `wake` called whenever the queue turns from empty to non-empty.
    pub(crate) fn on_nonempty(&mut self, wake: Wake) {
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
    pub(crate) fn read(&mut self, max_records: usize) -> ReadResult {
        let reached = self.range.as_ref().is_some_and(|own| own.is_reached());
        if reached || !self.is_placed() {
            return ReadResult {
                batch: RecordBatchBuilder::with_capacity(self.source.clone(), 0, 0).build(),
                epochs: Epochs::default(),
                end: None,
                errors: Vec::new(),
            };
        }
        let taken = self.take(max_records);
        let messages = self.messages.get(..taken).unwrap_or_default();

        // SAFETY: the first `taken` pointers are valid messages that this reader owns.
        let bytes = messages
            .iter()
            .map(|&m| unsafe { (*m).len + (*m).key_len })
            .sum();
        let mut builder = RecordBatchBuilder::with_capacity(self.source.clone(), taken, bytes);
        let mut errors = Vec::new();
        let mut end = None;
        let mut epochs = Epochs::default();
        // It is kept until the end for its epoch.
        let mut last = ptr::null_mut();
        for &message in messages {
            // SAFETY: a valid message as above; it is destroyed once, after being copied or, if it may
            // be the last record, after the next one was.
            unsafe {
                match calls::message_error(message) {
                    0 => {
                        // An end that something follows is that of a log that was truncated since.
                        end = None;
                        copy(&mut builder, message);
                        let before = std::mem::replace(&mut last, message);
                        match before.is_null() {
                            true => epochs.first = calls::leader_epoch(message),
                            false => native::rd_kafka_message_destroy(before),
                        }
                    }
                    error => {
                        let code = calls::code(error);
                        if code == RDKafkaErrorCode::PartitionEOF {
                            end = Some((*message).offset);
                        }
                        errors.push(KafkaError::Partition {
                            partition: self.source.clone(),
                            code,
                            detail: payload(message)
                                .map(|text| String::from_utf8_lossy(text).into_owned())
                                .unwrap_or_default(),
                        });
                        native::rd_kafka_message_destroy(message);
                    }
                }
            }
        }
        if !last.is_null() {
            // SAFETY: the last record, which was not destroyed in the loop.
            unsafe {
                epochs.last = calls::leader_epoch(last);
                native::rd_kafka_message_destroy(last);
            }
        }
        let mut batch = builder.build();
        match &self.range {
            Some(range) => {
                batch = range.clip(batch);
                errors.retain(|error| !range.ends_with(error));
                end = None;
            }
            None => errors.retain(|error| !error.is_end()),
        }
        ReadResult {
            batch,
            epochs,
            end,
            errors,
        }
    }

    /// Takes up to `max_records` messages out of the queue into the buffer; returns how many.
    ///
    /// The batch call takes the end of a partition for a record: the client believes then that the
    /// record at the end was read before there is one, and whenever it pauses and resumes by itself,
    /// as it does when a group changes whose members keep partitions, it goes on behind it. The call
    /// for one message knows the difference. Since an end stands behind everything else in the
    /// queue, the last message is taken by that call.
    fn take(&mut self, max_records: usize) -> usize {
        self.messages.resize(max_records, ptr::null_mut());
        // SAFETY: the queue is alive.
        let there = unsafe { native::rd_kafka_queue_length(self.queue) };
        let many = there.saturating_sub(1).min(max_records);
        let mut taken = 0;
        if many > 0 {
            // SAFETY: the buffer has room for as many message pointers as are asked for.
            let count = unsafe {
                native::rd_kafka_consume_batch_queue(
                    self.queue,
                    0,
                    self.messages.as_mut_ptr(),
                    many,
                )
            };
            taken = usize::try_from(count).unwrap_or(0).min(many);
        }
        if let Some(free) = self.messages.get_mut(taken) {
            // SAFETY: the queue is alive.
            let last = unsafe { native::rd_kafka_consume_queue(self.queue, 0) };
            if !last.is_null() {
                *free = last;
                return taken + 1;
            }
        }
        self.correct(taken);
        taken
    }

    /// Takes the client back to the end if the batch call took that for a record and nothing came
    /// after it, which happens only when messages in between were outdated.
    fn correct(&self, taken: usize) {
        let last = taken.checked_sub(1).and_then(|at| self.messages.get(at));
        let Some(&last) = last else { return };
        // SAFETY: a valid message that this reader owns, not destroyed yet.
        let (error, offset) = unsafe { (calls::message_error(last), (*last).offset) };
        if error == 0 || calls::code(error) != RDKafkaErrorCode::PartitionEOF {
            return;
        }
        let end = Position {
            next: NextOffset(offset),
            epoch: None,
        };
        let client = self.consumer.client().native_ptr();
        if let Err(error) = calls::seek(client, &self.source, end, SEEK_TIMEOUT) {
            tracing::debug!(partition = %self.source, %error, "the client stays behind the end");
        }
    }

    /// Everything below `at` is settled. With `hurry` the commit that says so does not wait for its
    /// interval. Does nothing once the partition belongs to somebody else or to another log.
    pub(crate) fn settle(&self, at: Position, hurry: bool) {
        let context = self.consumer.context();
        if let Some(range) = &self.range {
            // What a range remembers needs no broker: it is confirmed at once.
            range.settle(at.next);
            context.listener.committed(vec![Confirmed {
                source: self.source.clone(),
                generation: self.generation,
                next: at.next,
            }]);
            return;
        }
        let Some(lease) = &self.lease else { return };
        context.settle(&self.consumer, Instant::now(), lease, at, hurry);
    }

    /// Records from `end` on were taken back: nothing beyond it may stay committed.
    pub(crate) fn retreat(&self, end: NextOffset) {
        if let Some(lease) = &self.lease {
            let context = self.consumer.context();
            context.retreat(lease, end);
        }
    }

    /// Commits what is settled ahead of the interval.
    pub(crate) fn hurry(&self) {
        if let Some(lease) = &self.lease {
            let context = self.consumer.context();
            context.hurry(&self.consumer, Instant::now(), lease);
        }
    }

    /// The partition's low and high watermark as the client saw them last; no request is made.
    #[must_use]
    pub(crate) fn watermarks(&self) -> Option<(i64, i64)> {
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
