//! JoinGroup: answered when the group has formed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use tokio::sync::oneshot;

use super::{Call, CodecError, Outcome, text};
use crate::group::{JoinReply, JoinRequest};

pub(super) async fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: JoinGroupRequest = call.decode(body)?;
    let member = request.member_id.to_string();
    if let Some(error) = call.error {
        return reply(call, JoinReply::refused(&member, error));
    }
    let milliseconds = |time: i32| Duration::from_millis(time.max(0).unsigned_abs().into());
    let session_timeout = milliseconds(request.session_timeout_ms);
    let join = JoinRequest {
        member: member.clone(),
        instance: request
            .group_instance_id
            .map(|instance| instance.to_string()),
        client: call.client.to_owned(),
        host: call.host.to_owned(),
        session_timeout,
        // Version 0 has one timeout for both.
        rebalance_timeout: match request.rebalance_timeout_ms {
            ..=0 => session_timeout,
            time => milliseconds(time),
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| (protocol.name.to_string(), own(&protocol.metadata)))
            .collect(),
        asks_for_id: call.version >= 4,
    };
    let (answer, answered) = oneshot::channel();
    let joined = call.shared.coordinator.with(&request.group_id, |group| {
        group.join(join, answer, Instant::now());
    });
    if let Err(error) = joined {
        return reply(call, JoinReply::refused(&member, error));
    }
    match answered.await {
        Ok(joined) => reply(call, joined),
        // The member has joined again on another connection, or the group is gone.
        Err(_) => Ok(Outcome::Close),
    }
}

fn reply(call: &Call<'_>, joined: JoinReply) -> Result<Outcome, CodecError> {
    let members = joined
        .members
        .into_iter()
        .map(|(id, instance, subscription)| {
            JoinGroupResponseMember::default()
                .with_member_id(text(&id))
                .with_group_instance_id(instance.as_deref().map(text).filter(|_| call.version >= 5))
                .with_metadata(subscription)
        });
    let response = JoinGroupResponse::default()
        .with_error_code(joined.error.map_or(0, |error| error.code()))
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(text(&joined.protocol)))
        .with_leader(text(&joined.leader))
        .with_member_id(text(&joined.member))
        .with_members(members.collect());
    call.reply(&response)
}

/// A copy that does not keep the whole request alive.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
