//! ApiVersions: which requests and versions the broker understands.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::Encodable;

use super::{Call, CodecError, Outcome};
use crate::frame::FrameBuilder;
use crate::shape::APIS;

/// Newest version answered in kind; newer ones are answered in version 0, which tells the client to step back.
const NEWEST: i16 = 3;

/// Answers in any version, without looking at the body.
pub(crate) fn answer(call: &Call<'_>) -> Result<Outcome, CodecError> {
    let supported = (0..=NEWEST).contains(&call.version);
    let error = match supported {
        true => call.error.map_or(0, |error| error.code()),
        false => ResponseError::UnsupportedVersion.code(),
    };
    let keys = APIS.iter().map(|api| {
        // Older clients of the C library conclude from a missing version 0 that compression is not supported.
        let min = if api.key == ApiKey::Produce {
            0
        } else {
            api.min
        };
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(min)
            .with_max_version(api.max)
    });
    let response = ApiVersionsResponse::default()
        .with_error_code(error)
        .with_api_keys(keys.collect());
    let mut frame = FrameBuilder::new(call.correlation);
    response.encode(frame.out(), if supported { call.version } else { 0 })?;
    Ok(Outcome::Answer(frame.finish()))
}
