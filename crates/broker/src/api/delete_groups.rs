//! DeleteGroups: forgets groups without members.

use bytes::Bytes;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Call, CodecError, Outcome, code};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: DeleteGroupsRequest = call.decode(body)?;
    let results = request.groups_names.into_iter().map(|id| {
        let deleted = call.unless_faulty(|| call.shared.coordinator.delete(&id));
        DeletableGroupResult::default()
            .with_group_id(id)
            .with_error_code(code(&deleted))
    });
    call.reply(&DeleteGroupsResponse::default().with_results(results.collect()))
}
