//! InitProducerId: ids for idempotent producers. Transactions are not supported.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: InitProducerIdRequest = call.decode(body)?;
    let id = call.unless_faulty(|| match request.transactional_id {
        Some(_) => Err(ResponseError::TransactionalIdAuthorizationFailed),
        None => Ok(call.shared.next_producer()),
    });
    let response = InitProducerIdResponse::default()
        .with_error_code(code(&id))
        .with_producer_id(ProducerId(id.unwrap_or(-1)))
        .with_producer_epoch(if id.is_ok() { 0 } else { -1 });
    call.reply(&response)
}
