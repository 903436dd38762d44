//! Calls of the native client that the crate does not offer: commits with metadata and epoch, seeks
//! with an epoch, topic ids.
//!
//! Error codes are read as numbers, never as the binding's enumeration: a broker may send a code that
//! the enumeration lacks, and such a value must not exist in it.

#![expect(unsafe_code, reason = "these calls exist only in the native interface")]

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::slice;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use kafkamq_record::{Position, TopicPartition};
use kafkamq_source::commits::CommitEntry;
use kafkamq_source::lease::LogId;

mod raw {
    //! The same functions with codes as numbers.
    use super::native;

    unsafe extern "C" {
        pub(super) fn rd_kafka_event_error(event: *mut native::rd_kafka_event_t) -> i32;
        pub(super) fn rd_kafka_error_code(error: *const native::rd_kafka_error_t) -> i32;
        pub(super) fn rd_kafka_commit_queue(
            client: *mut native::rd_kafka_t,
            offsets: *const native::rd_kafka_topic_partition_list_t,
            queue: *mut native::rd_kafka_queue_t,
            callback: *const std::ffi::c_void,
            opaque: *mut std::ffi::c_void,
        ) -> i32;
        pub(super) fn rd_kafka_pause_partitions(
            client: *mut native::rd_kafka_t,
            partitions: *mut native::rd_kafka_topic_partition_list_t,
        ) -> i32;
        pub(super) fn rd_kafka_resume_partitions(
            client: *mut native::rd_kafka_t,
            partitions: *mut native::rd_kafka_topic_partition_list_t,
        ) -> i32;
        pub(super) fn rd_kafka_committed(
            client: *mut native::rd_kafka_t,
            offsets: *mut native::rd_kafka_topic_partition_list_t,
            timeout_ms: i32,
        ) -> i32;
    }
}

/// A handle of a live client. Whoever has one holds the client, too.
pub(super) type Client = *mut native::rd_kafka_t;

/// The client library's code for a number; [`RDKafkaErrorCode::Unknown`] for one it does not know.
pub(super) fn code(number: i32) -> RDKafkaErrorCode {
    static KNOWN: OnceLock<HashSet<i32>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let (mut descriptions, mut count) = (ptr::null(), 0);
        // SAFETY: both out pointers are valid.
        unsafe { native::rd_kafka_get_err_descs(&raw mut descriptions, &raw mut count) };
        let entry = |index: usize| {
            // SAFETY: the table is static and has `count` entries; the code is an `int` in C, and it is
            // read as one.
            unsafe {
                let entry: *const native::rd_kafka_err_desc = descriptions.add(index);
                let code = (&raw const (*entry).code).cast::<i32>().read();
                (!(*entry).name.is_null()).then_some(code)
            }
        };
        (0..count).filter_map(entry).collect()
    });
    if !known.contains(&number) {
        return RDKafkaErrorCode::Unknown;
    }
    // SAFETY: the library names this code, and the binding was made from the same header.
    RDKafkaErrorCode::from(unsafe { std::mem::transmute::<i32, RDKafkaRespErr>(number) })
}

fn failed(number: i32) -> KafkaError {
    KafkaError::Client(ClientError::Global(code(number)))
}

/// The error of a message, as a number.
///
/// # Safety
/// `message` points to a valid message.
pub(super) unsafe fn message_error(message: *const native::rd_kafka_message_t) -> i32 {
    // SAFETY: by contract; the field is an `int` in C.
    unsafe { (&raw const (*message).err).cast::<i32>().read() }
}

/// The leader epoch of a record; brokers before 0.11 tell none.
///
/// # Safety
/// `message` points to a valid message.
pub(super) unsafe fn leader_epoch(message: *const native::rd_kafka_message_t) -> Option<i32> {
    // SAFETY: by contract.
    let epoch = unsafe { native::rd_kafka_message_leader_epoch(message) };
    (epoch >= 0).then_some(epoch)
}

/// What a list of the client says about a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) source: TopicPartition,
    /// `None` for anything but an offset of a record.
    pub(super) offset: Option<i64>,
    pub(super) epoch: Option<i32>,
    pub(super) metadata: Option<String>,
    pub(super) error: Option<RDKafkaErrorCode>,
}

/// The elements of a list.
pub(super) fn listed(list: &TopicPartitionList) -> Vec<Listed> {
    // SAFETY: the list is alive as long as the call lasts.
    unsafe { listed_in(list.ptr()) }
}

/// # Safety
/// `list` points to a list that is alive as long as the call lasts.
unsafe fn listed_in(list: *const native::rd_kafka_topic_partition_list_t) -> Vec<Listed> {
    let mut names: HashMap<&[u8], std::sync::Arc<str>> = HashMap::new();
    // SAFETY: by contract.
    let (elements, count) = unsafe { ((*list).elems, usize::try_from((*list).cnt).unwrap_or(0)) };
    let mut found = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: the list has as many elements as it says, and they are alive; the topic is
        // NUL-terminated; metadata has the size that is said; the code is read as the `int` that it is
        // in C, and no reference to the element is made.
        let (topic, partition, offset, metadata, error, epoch) = unsafe {
            let element = elements.add(index);
            let metadata = (*element).metadata.cast::<u8>();
            let metadata = (!metadata.is_null())
                .then(|| slice::from_raw_parts(metadata, (*element).metadata_size));
            let error = (&raw const (*element).err).cast::<i32>().read();
            let epoch = native::rd_kafka_topic_partition_get_leader_epoch(element);
            let topic = CStr::from_ptr((*element).topic).to_bytes();
            let (partition, offset) = ((*element).partition, (*element).offset);
            (topic, partition, offset, metadata, error, epoch)
        };
        let name = names
            .entry(topic)
            .or_insert_with(|| String::from_utf8_lossy(topic).into());
        found.push(Listed {
            source: TopicPartition::new(std::sync::Arc::clone(name), partition),
            offset: (offset >= 0).then_some(offset),
            epoch: (epoch >= 0).then_some(epoch),
            metadata: metadata.map(|text| String::from_utf8_lossy(text).into_owned()),
            error: (error != 0).then(|| code(error)),
        });
    }
    found
}

/// Adds `source` at `position` to a list.
pub(super) fn add(
    list: &mut TopicPartitionList,
    source: &TopicPartition,
    position: Position,
    metadata: Option<&str>,
) -> Result<(), KafkaError> {
    let mut element = list.add_partition(&source.topic, source.partition);
    element
        .set_offset(Offset::Offset(position.next.0))
        .map_err(KafkaError::from_client)?;
    if let Some(metadata) = metadata {
        element.set_metadata(metadata);
    }
    if let Some(epoch) = position.epoch {
        // SAFETY: the list is alive, and its last element is the one that was just added.
        unsafe {
            let raw = list.ptr();
            if let Some(last) = usize::try_from((*raw).cnt)
                .ok()
                .and_then(|n| n.checked_sub(1))
            {
                let element = (*raw).elems.add(last);
                native::rd_kafka_topic_partition_set_leader_epoch(element, epoch);
            }
        }
    }
    Ok(())
}

fn commit_list(entries: &[CommitEntry]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(entries.len());
    for entry in entries {
        let memo = entry.memo.to_string();
        add(&mut list, &entry.source, entry.position, Some(&memo))?;
    }
    Ok(list)
}

/// Sends a commit. The answer comes to the queue that the poll thread serves.
pub(super) fn commit(client: Client, entries: &[CommitEntry]) -> Result<(), KafkaError> {
    let list = commit_list(entries)?;
    // SAFETY: the client handle is alive, the library copies the list and counts the uses of the queue.
    let error = unsafe {
        let answers = native::rd_kafka_queue_get_consumer(client);
        if answers.is_null() {
            return Err(failed(
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_GROUP as i32,
            ));
        }
        let error =
            raw::rd_kafka_commit_queue(client, list.ptr(), answers, ptr::null(), ptr::null_mut());
        native::rd_kafka_queue_destroy(answers);
        error
    };
    match error {
        0 => Ok(()),
        error => Err(failed(error)),
    }
}

/// Sends a commit and waits for its answer, on a queue of its own: inside a rebalance nobody serves
/// the common one.
pub(super) fn commit_and_wait(
    client: Client,
    entries: &[CommitEntry],
    timeout: Duration,
) -> Result<Vec<Listed>, KafkaError> {
    let list = commit_list(entries)?;
    let queue = Queue::new(client);
    // SAFETY: client, list and queue are alive; the library copies the list.
    let error = unsafe {
        raw::rd_kafka_commit_queue(client, list.ptr(), queue.0, ptr::null(), ptr::null_mut())
    };
    if error != 0 {
        return Err(failed(error));
    }
    let event = queue.wait(timeout)?;
    let error = event.error();
    // SAFETY: the event is alive; its list belongs to it and is only looked at while it is.
    let results = unsafe {
        let list = native::rd_kafka_event_topic_partition_list(event.0);
        match list.is_null() {
            true => Vec::new(),
            false => listed_in(list),
        }
    };
    match error {
        0 => Ok(results),
        error => Err(failed(error)),
    }
}

/// What the group has committed for these partitions, which blocks.
pub(super) fn committed(
    client: Client,
    partitions: &TopicPartitionList,
    timeout: Duration,
) -> Result<Vec<Listed>, KafkaError> {
    // SAFETY: client and list are alive; the list is the caller's for as long as the call lasts.
    let error = unsafe { raw::rd_kafka_committed(client, partitions.ptr(), to_millis(timeout)) };
    match error {
        0 => Ok(listed(partitions)),
        error => Err(failed(error)),
    }
}

/// Has reading of a partition go on at `position`; what was fetched before is dropped. Returns when
/// that is in force, so that nothing of before is read any more.
pub(super) fn seek(
    client: Client,
    source: &TopicPartition,
    position: Position,
    timeout: Duration,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(1);
    add(&mut list, source, position, None)?;
    // SAFETY: client and list are alive; the error is ours to destroy.
    let error = unsafe {
        let error = native::rd_kafka_seek_partitions(client, list.ptr(), to_millis(timeout));
        match error.is_null() {
            true => 0,
            false => {
                let code = raw::rd_kafka_error_code(error);
                native::rd_kafka_error_destroy(error);
                code
            }
        }
    };
    if error != 0 {
        return Err(failed(error));
    }
    match listed(&list).into_iter().find_map(|element| element.error) {
        Some(code) => Err(KafkaError::Client(ClientError::Global(code))),
        None => Ok(()),
    }
}

/// Pauses fetching of partitions, or lets it go on.
pub(super) fn pause(
    client: Client,
    partitions: &TopicPartitionList,
    paused: bool,
) -> Result<(), KafkaError> {
    // SAFETY: client and list are alive.
    let error = unsafe {
        match paused {
            true => raw::rd_kafka_pause_partitions(client, partitions.ptr()),
            false => raw::rd_kafka_resume_partitions(client, partitions.ptr()),
        }
    };
    match error {
        0 => Ok(()),
        error => Err(failed(error)),
    }
}

/// What the brokers say about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Described {
    /// Its id, where brokers know one (Kafka 2.8).
    pub(super) log: Option<LogId>,
    /// How many partitions it has.
    pub(super) partitions: i32,
}

/// Describes topics, which blocks. What cannot be described has its own error.
pub(super) fn describe_topics(
    client: Client,
    topics: &[String],
    timeout: Duration,
) -> Result<HashMap<String, Result<Described, RDKafkaErrorCode>>, KafkaError> {
    if topics.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<CString> = topics
        .iter()
        .map(|topic| {
            CString::new(topic.as_str()).map_err(|_| KafkaError::InvalidTopic(topic.clone()))
        })
        .collect::<Result<_, _>>()?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let queue = Queue::new(client);
    // SAFETY: all handles are alive until the call returns; the library copies names and options.
    unsafe {
        let options = native::rd_kafka_AdminOptions_new(
            client,
            native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        let mut text = [0; 64];
        native::rd_kafka_AdminOptions_set_request_timeout(
            options,
            to_millis(timeout),
            text.as_mut_ptr(),
            text.len(),
        );
        let collection =
            native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        native::rd_kafka_DescribeTopics(client, collection, options, queue.0);
        native::rd_kafka_TopicCollection_destroy(collection);
        native::rd_kafka_AdminOptions_destroy(options);
    }
    let event = queue.wait(timeout + Duration::from_secs(1))?;
    match event.error() {
        // SAFETY: the event is alive while its result is looked at.
        0 => Ok(unsafe { descriptions(event.0) }),
        error => Err(failed(error)),
    }
}

/// # Safety
/// `event` is a live result of `rd_kafka_DescribeTopics`.
unsafe fn descriptions(
    event: *mut native::rd_kafka_event_t,
) -> HashMap<String, Result<Described, RDKafkaErrorCode>> {
    // SAFETY: by contract; everything that is read belongs to the event, and counts are what the
    // library says.
    unsafe {
        let result = native::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = match result.is_null() {
            true => ptr::null_mut(),
            false => native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count),
        };
        if topics.is_null() {
            return HashMap::new();
        }
        let topics = slice::from_raw_parts(topics, count);
        topics
            .iter()
            .map(|&topic| {
                let name = native::rd_kafka_TopicDescription_name(topic);
                let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                let error = native::rd_kafka_TopicDescription_error(topic);
                let error = match error.is_null() {
                    true => 0,
                    false => raw::rd_kafka_error_code(error),
                };
                if error != 0 {
                    return (name, Err(code(error)));
                }
                let mut partitions = 0;
                native::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
                let id = native::rd_kafka_TopicDescription_topic_id(topic);
                let log = (!id.is_null()).then(|| {
                    LogId::from_halves(
                        native::rd_kafka_Uuid_most_significant_bits(id),
                        native::rd_kafka_Uuid_least_significant_bits(id),
                    )
                });
                let described = Described {
                    log: log.flatten(),
                    partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
                };
                (name, Ok(described))
            })
            .collect()
    }
}

/// A queue of our own.
struct Queue(*mut native::rd_kafka_queue_t);

impl Queue {
    fn new(client: Client) -> Self {
        // SAFETY: the client is alive.
        Self(unsafe { native::rd_kafka_queue_new(client) })
    }

    /// The next event, which is an error after `timeout`.
    fn wait(&self, timeout: Duration) -> Result<Event, KafkaError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // SAFETY: the queue is alive.
            let event = unsafe { native::rd_kafka_queue_poll(self.0, to_millis(left)) };
            if !event.is_null() {
                return Ok(Event(event));
            }
            if left.is_zero() {
                return Err(failed(RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT as i32));
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by us and destroyed once, while the client is alive.
        unsafe { native::rd_kafka_queue_destroy(self.0) };
    }
}

struct Event(*mut native::rd_kafka_event_t);

impl Event {
    fn error(&self) -> i32 {
        // SAFETY: the event is alive.
        unsafe { raw::rd_kafka_event_error(self.0) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: given to us by the library and destroyed once.
        unsafe { native::rd_kafka_event_destroy(self.0) };
    }
}

fn to_millis(span: Duration) -> i32 {
    i32::try_from(span.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_source::lease::Generation;
    use kafkamq_source::memo::Memo;

    #[test]
    fn a_code_that_the_library_does_not_know_is_unknown_and_nothing_worse() {
        assert_eq!(code(0), RDKafkaErrorCode::NoError);
        assert_eq!(code(16), RDKafkaErrorCode::NotCoordinator);
        assert_eq!(code(-191), RDKafkaErrorCode::PartitionEOF);
        for number in [-250, 999, i32::MAX, i32::MIN] {
            assert_eq!(code(number), RDKafkaErrorCode::Unknown, "{number}");
        }
    }

    #[test]
    fn a_commit_carries_offset_epoch_and_memo() {
        let memo = Memo {
            group: Some(5),
            ..Memo::default()
        };
        let entry = |partition, next, epoch| CommitEntry {
            source: TopicPartition::new("t", partition),
            generation: Generation(1),
            position: Position {
                next: kafkamq_record::NextOffset(next),
                epoch,
            },
            memo,
        };
        let list = commit_list(&[entry(0, 7, Some(3)), entry(1, 9, None)]).unwrap();
        let listed = listed(&list);
        let found: Vec<_> = listed.iter().map(|one| (one.offset, one.epoch)).collect();
        assert_eq!(found, [(Some(7), Some(3)), (Some(9), None)]);
        assert_eq!(
            listed[0].metadata.as_deref().and_then(Memo::parse),
            Some(memo)
        );
        assert_eq!(listed[0].error, None);
    }
}
