//! Heartbeat: keeps a member in its group and tells it when to join again.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: HeartbeatRequest = call.decode(body)?;
    let result = call.unless_faulty(|| {
        call.shared.coordinator.with(&request.group_id, |group| {
            let instance = request.group_instance_id.as_deref();
            group.heartbeat(
                &request.member_id,
                instance,
                request.generation_id,
                Instant::now(),
            )
        })?
    });
    call.reply(&HeartbeatResponse::default().with_error_code(code(&result)))
}
