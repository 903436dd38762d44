//! OffsetCommit: by members of the current generation, or by clients outside a group that is empty.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Call, CodecError, Outcome, code};
use crate::group::CommittedOffset;

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: OffsetCommitRequest = call.decode(body)?;
    let generation = request.generation_id_or_member_epoch;
    let member = &*request.member_id;
    let committed = call.unless_faulty(|| {
        call.shared.coordinator.with(&request.group_id, |group| {
            let instance = request.group_instance_id.as_deref();
            group.may_commit(member, instance, generation, Instant::now())?;
            let topics = request.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let key = (topic.name.to_string(), partition.partition_index);
                    let result = match call.shared.topics.partition(&key.0, key.1) {
                        None => Err(ResponseError::UnknownTopicOrPartition),
                        Some(_) => {
                            let offset = CommittedOffset {
                                offset: partition.committed_offset,
                                leader_epoch: partition.committed_leader_epoch,
                                metadata: partition
                                    .committed_metadata
                                    .as_deref()
                                    .unwrap_or_default()
                                    .to_owned(),
                            };
                            group.commit(member, generation, key, offset);
                            Ok(())
                        }
                    };
                    code(&result)
                });
                partitions.collect::<Vec<i16>>()
            });
            Ok(topics.collect::<Vec<_>>())
        })?
    });
    let refusal = code(&committed);
    let codes = committed.unwrap_or_default();
    let topics = request.topics.iter().enumerate().map(|(at, topic)| {
        let partitions = topic
            .partitions
            .iter()
            .enumerate()
            .map(|(index, partition)| {
                let stored = codes.get(at).and_then(|codes| codes.get(index));
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(stored.copied().unwrap_or(refusal))
            });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    call.reply(&OffsetCommitResponse::default().with_topics(topics.collect()))
}
