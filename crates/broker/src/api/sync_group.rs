//! SyncGroup: answered when the leader has sent the assignments.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use tokio::sync::oneshot;

use super::{Call, CodecError, Outcome, code};
use crate::group::SyncReply;

pub(super) async fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: SyncGroupRequest = call.decode(body)?;
    if let Some(error) = call.error {
        return reply(call, Err(error));
    }
    let assignments = request
        .assignments
        .into_iter()
        .map(|one| {
            (
                one.member_id.to_string(),
                Bytes::copy_from_slice(&one.assignment),
            )
        })
        .collect();
    let (answer, answered) = oneshot::channel();
    let synced = call.shared.coordinator.with(&request.group_id, |group| {
        let instance = request.group_instance_id.as_deref();
        let now = Instant::now();
        group.sync(
            &request.member_id,
            instance,
            request.generation_id,
            assignments,
            answer,
            now,
        );
    });
    if let Err(error) = synced {
        return reply(call, Err(error));
    }
    match answered.await {
        Ok(assignment) => reply(call, assignment),
        // The member has synced again on another connection, or the group is gone.
        Err(_) => Ok(Outcome::Close),
    }
}

fn reply(call: &Call<'_>, assignment: SyncReply) -> Result<Outcome, CodecError> {
    let response = SyncGroupResponse::default()
        .with_error_code(code(&assignment))
        .with_assignment(assignment.unwrap_or_default());
    call.reply(&response)
}
