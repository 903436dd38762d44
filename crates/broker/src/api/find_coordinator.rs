//! FindCoordinator: it is always the one node.

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Call, CodecError, Outcome, text};
use crate::shared::{HOST, NODE};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let _: FindCoordinatorRequest = call.decode(body)?;
    let response = match call.error {
        Some(error) => FindCoordinatorResponse::default()
            .with_error_code(error.code())
            .with_node_id(BrokerId(-1))
            .with_port(-1),
        None => FindCoordinatorResponse::default()
            .with_node_id(BrokerId(NODE))
            .with_host(text(HOST))
            .with_port(i32::from(call.shared.port())),
    };
    call.reply(&response)
}
