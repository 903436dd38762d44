//! DescribeGroups: state, strategy and members.

use bytes::Bytes;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::{Call, CodecError, Outcome, text};
use crate::group::{Group, Member};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: DescribeGroupsRequest = call.decode(body)?;
    let groups = request.groups.into_iter().map(|id| {
        if let Some(error) = call.error {
            return DescribedGroup::default()
                .with_group_id(id)
                .with_error_code(error.code());
        }
        let described = call
            .shared
            .coordinator
            .look(&id, |group| describe(call, &id, group));
        described.unwrap_or_else(|| {
            DescribedGroup::default()
                .with_group_id(id.clone())
                .with_group_state(text("Dead"))
        })
    });
    call.reply(&DescribeGroupsResponse::default().with_groups(groups.collect()))
}

fn describe(call: &Call<'_>, id: &GroupId, group: &Group) -> DescribedGroup {
    let member = |member: &Member| {
        DescribedGroupMember::default()
            .with_member_id(text(&member.id))
            .with_group_instance_id(
                member
                    .instance
                    .as_deref()
                    .map(text)
                    .filter(|_| call.version >= 4),
            )
            .with_client_id(text(&member.client))
            .with_client_host(text(&member.host))
            .with_member_metadata(member.subscription(group.protocol()))
            .with_member_assignment(member.assignment.clone())
    };
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_group_state(text(group.state_name()))
        .with_protocol_type(text(group.protocol_type()))
        .with_protocol_data(text(group.protocol()))
        .with_members(group.members().map(member).collect())
}
