//! LeaveGroup: one member up to version 2, several from version 3 on.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Call, CodecError, Outcome, code};
use crate::events::Departure;

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: LeaveGroupRequest = call.decode(body)?;
    let leave = |id: &str, instance: Option<&str>| {
        call.unless_faulty(|| {
            call.shared.coordinator.with(&request.group_id, |group| {
                group.leave(id, instance, Departure::Left, Instant::now())
            })?
        })
    };
    if call.version < 3 {
        let left = leave(&request.member_id, None);
        return call.reply(&LeaveGroupResponse::default().with_error_code(code(&left)));
    }
    let members = request.members.iter().map(|member| {
        let left = leave(&member.member_id, member.group_instance_id.as_deref());
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(code(&left))
    });
    call.reply(&LeaveGroupResponse::default().with_members(members.collect()))
}
