//! One module for each kind of request: what it means, and its answer.

pub(crate) mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_groups;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::frame::{Frame, FrameBuilder};
use crate::shared::Shared;

/// A request that is being carried out.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    /// The client's id.
    pub(crate) client: &'a str,
    /// The client's address.
    pub(crate) host: &'a str,
    /// A fault: answer with this and do nothing.
    pub(crate) error: Option<ResponseError>,
}

/// How a request ends.
pub(crate) enum Outcome {
    /// This is written.
    Answer(Frame),
    /// The client expects nothing.
    Silence,
    /// The connection is closed.
    Close,
}

/// The bytes of a request are not what its kind and version demand, or an answer cannot be encoded.
pub(crate) type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Carries out a request of any kind but ApiVersions, whose body has passed `Api::holds`.
///
/// # Errors
/// When the body is malformed all the same.
pub(crate) async fn answer(
    call: &Call<'_>,
    key: ApiKey,
    body: Bytes,
) -> Result<Outcome, CodecError> {
    match key {
        ApiKey::Produce => produce::answer(call, body),
        ApiKey::Fetch => fetch::answer(call, body).await,
        ApiKey::ListOffsets => list_offsets::answer(call, body),
        ApiKey::Metadata => metadata::answer(call, body),
        ApiKey::OffsetCommit => offset_commit::answer(call, body),
        ApiKey::OffsetFetch => offset_fetch::answer(call, body),
        ApiKey::FindCoordinator => find_coordinator::answer(call, body),
        ApiKey::JoinGroup => join_group::answer(call, body).await,
        ApiKey::Heartbeat => heartbeat::answer(call, body),
        ApiKey::LeaveGroup => leave_group::answer(call, body),
        ApiKey::SyncGroup => sync_group::answer(call, body).await,
        ApiKey::DescribeGroups => describe_groups::answer(call, body),
        ApiKey::ListGroups => list_groups::answer(call),
        ApiKey::CreateTopics => create_topics::answer(call, body),
        ApiKey::DeleteTopics => delete_topics::answer(call, body),
        ApiKey::DeleteRecords => delete_records::answer(call, body),
        ApiKey::InitProducerId => init_producer_id::answer(call, body),
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::answer(call, body),
        ApiKey::CreatePartitions => create_partitions::answer(call, body),
        ApiKey::DeleteGroups => delete_groups::answer(call, body),
        _ => Ok(Outcome::Close),
    }
}

impl Call<'_> {
    /// Decodes the request.
    fn decode<T: Decodable>(&self, mut body: Bytes) -> Result<T, CodecError> {
        Ok(T::decode(&mut body, self.version)?)
    }

    /// Encodes the answer.
    fn reply<T: Encodable>(&self, response: &T) -> Result<Outcome, CodecError> {
        let mut frame = FrameBuilder::new(self.correlation);
        response.encode(frame.out(), self.version)?;
        Ok(Outcome::Answer(frame.finish()))
    }

    /// The injected error, or what `work` gives.
    fn unless_faulty<T>(
        &self,
        work: impl FnOnce() -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        self.error.map_or_else(work, Err)
    }
}

/// The number of an outcome on the wire, 0 for success.
fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, |error| error.code())
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::BrokerOptions;
    use crate::shape::{APIS, tests::sample};

    #[tokio::test(flavor = "current_thread")]
    async fn every_version_of_every_request_is_answered() {
        for error in [None, Some(ResponseError::NotCoordinator)] {
            for api in APIS {
                for version in api.min..=api.max {
                    // A broker each, as a second member of the group would wait for the first.
                    let shared = Shared::new(BrokerOptions::default());
                    shared.topics.create("topic", 3).unwrap();
                    let call = Call {
                        shared: &shared,
                        version,
                        correlation: 1,
                        client: "c",
                        host: "h",
                        error,
                    };
                    let outcome = match api.key {
                        ApiKey::ApiVersions => api_versions::answer(&call),
                        key => answer(&call, key, sample(key, version).freeze()).await,
                    };
                    let what = format!("{:?} version {version}", api.key);
                    match outcome {
                        Ok(Outcome::Answer(_)) => {}
                        Ok(_) => panic!("{what} is not answered"),
                        Err(error) => panic!("{what} fails: {error}"),
                    }
                }
            }
        }
    }
}
