//! ListOffsets: the start, the end, or the first offset at or after a time.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Call, CodecError, Outcome, code};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: ListOffsetsRequest = call.decode(body)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let found = call.unless_faulty(|| find(call, &topic.name, index, partition.timestamp));
            let (offset, timestamp) = found.unwrap_or((-1, -1));
            ListOffsetsPartitionResponse::default()
                .with_partition_index(index)
                .with_error_code(code(&found))
                .with_offset(offset)
                .with_timestamp(timestamp)
                .with_leader_epoch(if offset < 0 || call.version < 4 {
                    -1
                } else {
                    0
                })
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    call.reply(&ListOffsetsResponse::default().with_topics(topics.collect()))
}

/// Offset and timestamp; -1 for both when no record is that young, as the protocol has it.
fn find(
    call: &Call<'_>,
    topic: &str,
    partition: i32,
    timestamp: i64,
) -> Result<(i64, i64), ResponseError> {
    let partition = call
        .shared
        .topics
        .partition(topic, partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let (start, end, batch) = {
        let log = partition.log.lock();
        let batch = if timestamp >= 0 {
            log.batch_at(timestamp)
        } else {
            None
        };
        (log.start(), log.end(), batch)
    };
    match timestamp {
        LATEST => Ok((end, -1)),
        EARLIEST => Ok((start, -1)),
        _ => {
            let Some(batch) = batch else {
                return Ok((-1, -1));
            };
            let records = batch.records().map_err(|_| ResponseError::CorruptMessage)?;
            let record = records
                .iter()
                .find(|record| record.offset >= start && record.timestamp >= timestamp);
            Ok(record.map_or((-1, -1), |record| (record.offset, record.timestamp)))
        }
    }
}
