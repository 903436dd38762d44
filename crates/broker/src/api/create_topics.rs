//! CreateTopics. Replication factors and topic settings are accepted and ignored.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: CreateTopicsRequest = call.decode(body)?;
    let validate_only = request.validate_only;
    let topics = request.topics.into_iter().map(|topic| {
        let created = call.unless_faulty(|| {
            let partitions = match topic.num_partitions {
                -1 if !topic.assignments.is_empty() => {
                    i32::try_from(topic.assignments.len()).unwrap_or(i32::MAX)
                }
                -1 => call.shared.options.default_partitions,
                number => number,
            };
            if validate_only {
                return match call.shared.topics.partitions(&topic.name) {
                    Some(_) => Err(ResponseError::TopicAlreadyExists),
                    None => Ok(()),
                };
            }
            call.shared.topics.create(&topic.name, partitions)
        });
        CreatableTopicResult::default()
            .with_name(topic.name)
            .with_error_code(code(&created))
    });
    call.reply(&CreateTopicsResponse::default().with_topics(topics.collect()))
}
