//! OffsetForLeaderEpoch: there is one leader epoch, 0, and it ends where the partition does.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: OffsetForLeaderEpochRequest = call.decode(body)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition;
            let end = call.unless_faulty(|| {
                let found = call.shared.topics.partition(&topic.topic, index);
                let found = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
                let end = found.log.lock().end();
                Ok(end)
            });
            EpochEndOffset::default()
                .with_error_code(code(&end))
                .with_partition(index)
                .with_leader_epoch(if end.is_ok() { 0 } else { -1 })
                .with_end_offset(end.unwrap_or(-1))
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    call.reply(&OffsetForLeaderEpochResponse::default().with_topics(topics.collect()))
}
