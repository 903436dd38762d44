//! DeleteTopics: records and committed offsets go with the topic.

use bytes::Bytes;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: DeleteTopicsRequest = call.decode(body)?;
    let responses = request.topic_names.into_iter().map(|name| {
        let deleted = call.unless_faulty(|| call.shared.delete_topic(&name));
        DeletableTopicResult::default()
            .with_name(Some(name))
            .with_error_code(code(&deleted))
    });
    call.reply(&DeleteTopicsResponse::default().with_responses(responses.collect()))
}
