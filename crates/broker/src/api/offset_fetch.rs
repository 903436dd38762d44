//! OffsetFetch: the committed offsets of some partitions, or of all.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::{Call, CodecError, Outcome, text};
use crate::group::{CommittedOffset, Group};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: OffsetFetchRequest = call.decode(body)?;
    let error = call.error.map_or(0, |error| error.code());
    let topics = match (&request.topics, call.error) {
        (Some(wanted), _) => wanted
            .iter()
            .map(|topic| {
                let partitions = topic.partition_indexes.iter().map(|index| {
                    let key = (topic.name.to_string(), *index);
                    let look = |group: &Group| group.committed(&key).cloned();
                    let found = call
                        .shared
                        .coordinator
                        .look(&request.group_id, look)
                        .flatten();
                    partition(*index, found.filter(|_| error == 0).as_ref(), error)
                });
                OffsetFetchResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions.collect())
            })
            .collect(),
        (None, Some(_)) => Vec::new(),
        (None, None) => call
            .shared
            .coordinator
            .look(&request.group_id, all)
            .unwrap_or_default(),
    };
    call.reply(
        &OffsetFetchResponse::default()
            .with_topics(topics)
            .with_error_code(error),
    )
}

fn all(group: &Group) -> Vec<OffsetFetchResponseTopic> {
    let mut topics: BTreeMap<&str, Vec<OffsetFetchResponsePartition>> = BTreeMap::new();
    for ((topic, index), offset) in group.all_committed() {
        topics
            .entry(topic)
            .or_default()
            .push(partition(*index, Some(offset), 0));
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetFetchResponseTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions)
    });
    topics.collect()
}

/// Offset -1 says that none has been committed.
fn partition(
    index: i32,
    offset: Option<&CommittedOffset>,
    error: i16,
) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition::default()
        .with_partition_index(index)
        .with_committed_offset(offset.map_or(-1, |offset| offset.offset))
        .with_committed_leader_epoch(offset.map_or(-1, |offset| offset.leader_epoch))
        .with_metadata(Some(text(offset.map_or("", |offset| &offset.metadata))))
        .with_error_code(error)
}
