//! DeleteRecords: moves the start of partitions.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Call, CodecError, Outcome, code};

/// Stands for the end of the partition.
const HIGH_WATERMARK: i64 = -1;

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: DeleteRecordsRequest = call.decode(body)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let start = call.unless_faulty(|| {
                delete(
                    call,
                    &topic.name,
                    partition.partition_index,
                    partition.offset,
                )
            });
            DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(&start))
                .with_low_watermark(start.unwrap_or(-1))
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    call.reply(&DeleteRecordsResponse::default().with_topics(topics.collect()))
}

fn delete(call: &Call<'_>, topic: &str, partition: i32, offset: i64) -> Result<i64, ResponseError> {
    let partition = call
        .shared
        .topics
        .partition(topic, partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let mut log = partition.log.lock();
    match offset {
        HIGH_WATERMARK => {
            let end = log.end();
            Ok(log.truncate(end))
        }
        offset if offset < 0 || offset > log.end() => Err(ResponseError::OffsetOutOfRange),
        offset => Ok(log.truncate(offset)),
    }
}
