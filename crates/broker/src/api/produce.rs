//! Produce: stores record batches as they came.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let size = body.len();
    let request: ProduceRequest = call.decode(body)?;
    let acks = request.acks;
    let transactional = request.transactional_id.is_some();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for partition in topic.partition_data {
            let stored = call.unless_faulty(|| {
                if !(-1..=1).contains(&acks) {
                    return Err(ResponseError::InvalidRequiredAcks);
                }
                if transactional {
                    return Err(ResponseError::TransactionalIdAuthorizationFailed);
                }
                let records = partition.records.ok_or(ResponseError::InvalidRecord)?;
                store(call, &topic.name, partition.index, records, size)
            });
            partitions.push(
                PartitionProduceResponse::default()
                    .with_index(partition.index)
                    .with_error_code(code(&stored))
                    .with_base_offset(stored.map_or(-1, |(base, _)| base))
                    .with_log_start_offset(stored.map_or(-1, |(_, start)| start)),
            );
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_partition_responses(partitions),
        );
    }
    if acks == 0 {
        // The client does not listen; all it can be told is that something went wrong, by closing.
        let failed = responses
            .iter()
            .flat_map(|t| &t.partition_responses)
            .any(|p| p.error_code != 0);
        return Ok(if failed {
            Outcome::Close
        } else {
            Outcome::Silence
        });
    }
    call.reply(&ProduceResponse::default().with_responses(responses))
}

/// Appends batches, part of a request of so many bytes; gives the offset of the first record and the start of the partition.
fn store(
    call: &Call<'_>,
    topic: &str,
    partition: i32,
    records: Bytes,
    request: usize,
) -> Result<(i64, i64), ResponseError> {
    let shared = call.shared;
    let partition = shared
        .topics
        .partition(topic, partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let base = partition.append(records, request, shared.options.max_batch_bytes)?;
    shared.recorder.changed();
    let start = partition.log.lock().start();
    Ok((base, start))
}
