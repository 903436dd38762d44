//! ListGroups: names and protocol types.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsResponse};

use super::{Call, CodecError, Outcome, text};

pub(super) fn answer(call: &Call<'_>) -> Result<Outcome, CodecError> {
    let coordinator = &call.shared.coordinator;
    let groups = coordinator.names().into_iter().filter_map(|name| {
        coordinator.look(&name, |group| {
            ListedGroup::default()
                .with_group_id(GroupId(text(&name)))
                .with_protocol_type(text(group.protocol_type()))
        })
    });
    let response = ListGroupsResponse::default()
        .with_error_code(call.error.map_or(0, |error| error.code()))
        .with_groups(groups.filter(|_| call.error.is_none()).collect());
    call.reply(&response)
}
