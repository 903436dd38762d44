//! CreatePartitions: gives topics more partitions.

use bytes::Bytes;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: CreatePartitionsRequest = call.decode(body)?;
    let validate_only = request.validate_only;
    let results = request.topics.into_iter().map(|topic| {
        let grown = call.unless_faulty(|| match validate_only {
            true => Ok(()),
            false => call.shared.topics.grow(&topic.name, topic.count),
        });
        CreatePartitionsTopicResult::default()
            .with_name(topic.name)
            .with_error_code(code(&grown))
    });
    call.reply(&CreatePartitionsResponse::default().with_results(results.collect()))
}
