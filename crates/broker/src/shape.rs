//! The requests this broker understands: their versions and the shape of their bytes.
//!
//! The codec reserves memory for as many elements as an array claims to have, so a few malformed bytes could make it
//! ask for hundreds of gigabytes and abort the process. `check` walks a request first and promises that every length
//! in it fits into the bytes that are there. Only versions before the compact encodings are offered (every client
//! still speaks them), which keeps the walk this simple.

use kafka_protocol::messages::ApiKey;

/// What a field looks like on the wire.
#[derive(Clone, Copy)]
enum Shape {
    /// A number of so many bytes.
    Fixed(usize),
    /// 16 bit length (-1 is null), then text.
    Text,
    /// 32 bit length (-1 is null), then bytes.
    Blob,
    /// 32 bit count (-1 is null), then that many times these fields.
    List(&'static [Field]),
}

/// A field and the versions of the request that have it.
#[derive(Clone, Copy)]
struct Field {
    since: i16,
    until: i16,
    shape: Shape,
}

/// A request kind: what `ApiVersions` announces and how its body is laid out.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
    body: &'static [Field],
}

const fn all(shape: Shape) -> Field {
    Field {
        since: 0,
        until: i16::MAX,
        shape,
    }
}

const fn since(since: i16, shape: Shape) -> Field {
    Field {
        since,
        until: i16::MAX,
        shape,
    }
}

const fn until(until: i16, shape: Shape) -> Field {
    Field {
        since: 0,
        until,
        shape,
    }
}

const fn api(key: ApiKey, min: i16, max: i16, body: &'static [Field]) -> Api {
    Api {
        key,
        min,
        max,
        body,
    }
}

const BYTE: Field = all(Shape::Fixed(1));
const INT16: Field = all(Shape::Fixed(2));
const INT32: Field = all(Shape::Fixed(4));
const INT64: Field = all(Shape::Fixed(8));
const TEXT: Field = all(Shape::Text);
const BLOB: Field = all(Shape::Blob);

const fn list(of: &'static [Field]) -> Field {
    all(Shape::List(of))
}

/// Every request kind this broker answers, with its lowest and highest version.
pub(crate) const APIS: &[Api] = &[
    api(
        ApiKey::Produce,
        3,
        8,
        &[TEXT, INT16, INT32, list(&[TEXT, list(&[INT32, BLOB])])],
    ),
    api(
        ApiKey::Fetch,
        4,
        11,
        &[
            INT32,
            INT32,
            INT32,
            INT32,
            BYTE,
            since(7, Shape::Fixed(8)),
            list(&[
                TEXT,
                list(&[
                    INT32,
                    since(9, Shape::Fixed(4)),
                    INT64,
                    since(5, Shape::Fixed(8)),
                    INT32,
                ]),
            ]),
            since(7, Shape::List(&[TEXT, list(&[INT32])])),
            since(11, Shape::Text),
        ],
    ),
    api(
        ApiKey::ListOffsets,
        1,
        5,
        &[
            INT32,
            since(2, Shape::Fixed(1)),
            list(&[TEXT, list(&[INT32, since(4, Shape::Fixed(4)), INT64])]),
        ],
    ),
    api(
        ApiKey::Metadata,
        0,
        8,
        &[
            list(&[TEXT]),
            since(4, Shape::Fixed(1)),
            since(8, Shape::Fixed(2)),
        ],
    ),
    api(
        ApiKey::OffsetCommit,
        2,
        7,
        &[
            TEXT,
            INT32,
            TEXT,
            since(7, Shape::Text),
            until(4, Shape::Fixed(8)),
            list(&[TEXT, list(&[INT32, INT64, since(6, Shape::Fixed(4)), TEXT])]),
        ],
    ),
    api(
        ApiKey::OffsetFetch,
        1,
        5,
        &[TEXT, list(&[TEXT, list(&[INT32])])],
    ),
    api(
        ApiKey::FindCoordinator,
        0,
        2,
        &[TEXT, since(1, Shape::Fixed(1))],
    ),
    api(
        ApiKey::JoinGroup,
        0,
        5,
        &[
            TEXT,
            INT32,
            since(1, Shape::Fixed(4)),
            TEXT,
            since(5, Shape::Text),
            TEXT,
            list(&[TEXT, BLOB]),
        ],
    ),
    api(
        ApiKey::Heartbeat,
        0,
        3,
        &[TEXT, INT32, TEXT, since(3, Shape::Text)],
    ),
    api(
        ApiKey::LeaveGroup,
        0,
        3,
        &[
            TEXT,
            until(2, Shape::Text),
            since(3, Shape::List(&[TEXT, TEXT])),
        ],
    ),
    api(
        ApiKey::SyncGroup,
        0,
        3,
        &[
            TEXT,
            INT32,
            TEXT,
            since(3, Shape::Text),
            list(&[TEXT, BLOB]),
        ],
    ),
    api(
        ApiKey::DescribeGroups,
        0,
        4,
        &[list(&[TEXT]), since(3, Shape::Fixed(1))],
    ),
    api(ApiKey::ListGroups, 0, 2, &[]),
    api(ApiKey::ApiVersions, 0, 3, &[]),
    api(
        ApiKey::CreateTopics,
        2,
        4,
        &[
            list(&[
                TEXT,
                INT32,
                INT16,
                list(&[INT32, list(&[INT32])]),
                list(&[TEXT, TEXT]),
            ]),
            INT32,
            BYTE,
        ],
    ),
    api(ApiKey::DeleteTopics, 1, 3, &[list(&[TEXT]), INT32]),
    api(
        ApiKey::DeleteRecords,
        0,
        1,
        &[list(&[TEXT, list(&[INT32, INT64])]), INT32],
    ),
    api(ApiKey::InitProducerId, 0, 1, &[TEXT, INT32]),
    api(
        ApiKey::OffsetForLeaderEpoch,
        2,
        3,
        &[
            since(3, Shape::Fixed(4)),
            list(&[TEXT, list(&[INT32, INT32, INT32])]),
        ],
    ),
    api(
        ApiKey::CreatePartitions,
        0,
        1,
        &[list(&[TEXT, INT32, list(&[list(&[INT32])])]), INT32, BYTE],
    ),
    api(ApiKey::DeleteGroups, 0, 1, &[list(&[TEXT])]),
];

/// The entry of `APIS` for the key in a request header, or none for a kind this broker does not answer.
pub(crate) fn find(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key as i16 == key)
}

impl Api {
    /// Whether every length and count in `body` stays inside `body`.
    pub(crate) fn holds(&self, version: i16, body: &[u8]) -> bool {
        walk(self.body, version, body).is_some()
    }
}

/// Reads past `fields` and returns what follows, or none when the bytes end early.
fn walk<'a>(fields: &[Field], version: i16, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
    for field in fields {
        if version < field.since || version > field.until {
            continue;
        }
        bytes = match field.shape {
            Shape::Fixed(size) => bytes.get(size..)?,
            Shape::Text => {
                let (length, rest) = bytes.split_first_chunk::<2>()?;
                skip(i64::from(i16::from_be_bytes(*length)), rest)?
            }
            Shape::Blob => {
                let (length, rest) = bytes.split_first_chunk::<4>()?;
                skip(i64::from(i32::from_be_bytes(*length)), rest)?
            }
            Shape::List(of) => {
                let (count, mut rest) = bytes.split_first_chunk::<4>()?;
                let count = i32::from_be_bytes(*count);
                if count < -1 || i64::from(count) > rest.len() as i64 {
                    return None;
                }
                for _ in 0..count {
                    rest = walk(of, version, rest)?;
                }
                rest
            }
        };
    }
    Some(bytes)
}

fn skip(length: i64, bytes: &[u8]) -> Option<&[u8]> {
    match length {
        -1 => Some(bytes),
        length => bytes.get(usize::try_from(length).ok()?..),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    #[test]
    fn a_count_beyond_the_bytes_is_refused() {
        let metadata = find(ApiKey::Metadata as i16).unwrap();
        assert!(!metadata.holds(1, &[0x7f, 0xff, 0xff, 0xff]));
        assert!(!metadata.holds(1, &[0xff, 0xff, 0xff, 0xfe]));
        assert!(metadata.holds(1, &[0xff, 0xff, 0xff, 0xff]));
        assert!(metadata.holds(1, &[0, 0, 0, 1, 0, 1, b'a']));
        assert!(!metadata.holds(1, &[0, 0, 0, 1, 0, 2, b'a']));
    }

    /// A request about the topic `topic` or the group `g`, with two elements in its lists.
    pub(crate) fn sample(key: ApiKey, version: i16) -> BytesMut {
        let mut out = BytesMut::new();
        let s = StrBytes::from_static_str;
        let topic = || TopicName(s("topic"));
        let b = || Bytes::from_static(b"bytes");
        macro_rules! encode {
            ($message:expr) => {
                $message.encode(&mut out, version)
            };
        }
        let encoded = match key {
            ApiKey::Produce => {
                encode!(ProduceRequest::default().with_acks(1).with_topic_data(vec![
                produce_request::TopicProduceData::default().with_name(topic()).with_partition_data(
                    vec![
                        produce_request::PartitionProduceData::default().with_records(Some(b()));
                        2
                    ]
                )
            ]))
            }
            ApiKey::Fetch => encode!(FetchRequest::default().with_topics(vec![
                fetch_request::FetchTopic::default()
                    .with_topic(topic())
                    .with_partitions(vec![fetch_request::FetchPartition::default(); 2])
            ])),
            ApiKey::ListOffsets => encode!(ListOffsetsRequest::default().with_topics(vec![
                list_offsets_request::ListOffsetsTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![
                        list_offsets_request::ListOffsetsPartition::default();
                        2
                    ])
            ])),
            ApiKey::Metadata => encode!(MetadataRequest::default().with_topics(Some(vec![
                metadata_request::MetadataRequestTopic::default().with_name(Some(topic()));
                2
            ]))),
            ApiKey::OffsetCommit => encode!(
                OffsetCommitRequest::default()
                    .with_group_id(GroupId(s("g")))
                    .with_topics(vec![
                        offset_commit_request::OffsetCommitRequestTopic::default()
                            .with_name(topic())
                            .with_partitions(vec![
                        offset_commit_request::OffsetCommitRequestPartition::default();
                        2
                    ])
                    ])
            ),
            ApiKey::OffsetFetch => encode!(
                OffsetFetchRequest::default()
                    .with_group_id(GroupId(s("g")))
                    .with_topics(Some(vec![
                        offset_fetch_request::OffsetFetchRequestTopic::default()
                            .with_name(topic())
                            .with_partition_indexes(vec![1, 2])
                    ]))
            ),
            ApiKey::FindCoordinator => encode!(FindCoordinatorRequest::default().with_key(s("g"))),
            ApiKey::JoinGroup => encode!(
                JoinGroupRequest::default()
                    .with_group_id(GroupId(s("g")))
                    .with_session_timeout_ms(9000)
                    .with_protocols(vec![
                        join_group_request::JoinGroupRequestProtocol::default()
                            .with_name(s("range"))
                            .with_metadata(b());
                        2
                    ])
            ),
            ApiKey::Heartbeat => encode!(
                HeartbeatRequest::default()
                    .with_group_id(GroupId(s("g")))
                    .with_member_id(s("m"))
            ),
            ApiKey::LeaveGroup => {
                let member = leave_group_request::MemberIdentity::default().with_member_id(s("m"));
                let request = LeaveGroupRequest::default();
                match version {
                    0..=2 => encode!(request.with_member_id(s("m"))),
                    _ => encode!(request.with_members(vec![member; 2])),
                }
            }
            ApiKey::SyncGroup => encode!(
                SyncGroupRequest::default()
                    .with_group_id(GroupId(s("g")))
                    .with_assignments(vec![
                        sync_group_request::SyncGroupRequestAssignment::default(
                        )
                        .with_member_id(s("m"))
                        .with_assignment(b());
                        2
                    ])
            ),
            ApiKey::DescribeGroups => {
                encode!(DescribeGroupsRequest::default().with_groups(vec![GroupId(s("g")); 2]))
            }
            ApiKey::ListGroups => encode!(ListGroupsRequest::default()),
            ApiKey::CreateTopics => encode!(CreateTopicsRequest::default().with_topics(vec![
                create_topics_request::CreatableTopic::default()
                    .with_name(topic())
                    .with_assignments(vec![
                        create_topics_request::CreatableReplicaAssignment::default()
                            .with_broker_ids(vec![BrokerId(1); 2])
                    ])
                    .with_configs(vec![
                        create_topics_request::CreatableTopicConfig::default().with_name(s("x"));
                        2
                    ])
            ])),
            ApiKey::DeleteTopics => {
                encode!(DeleteTopicsRequest::default().with_topic_names(vec![topic(); 2]))
            }
            ApiKey::DeleteRecords => encode!(DeleteRecordsRequest::default().with_topics(vec![
                delete_records_request::DeleteRecordsTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![
                        delete_records_request::DeleteRecordsPartition::default();
                        2
                    ])
            ])),
            ApiKey::InitProducerId => encode!(InitProducerIdRequest::default()),
            ApiKey::OffsetForLeaderEpoch => {
                encode!(OffsetForLeaderEpochRequest::default().with_topics(vec![
                    offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                        .with_topic(topic())
                        .with_partitions(vec![
                            offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
                            2
                        ])
                ]))
            }
            ApiKey::CreatePartitions => {
                encode!(CreatePartitionsRequest::default().with_topics(vec![
                    create_partitions_request::CreatePartitionsTopic::default()
                        .with_name(topic())
                        .with_assignments(Some(vec![
                            create_partitions_request::CreatePartitionsAssignment::default()
                                .with_broker_ids(vec![BrokerId(1); 2])
                        ]))
                ]))
            }
            ApiKey::DeleteGroups => {
                encode!(DeleteGroupsRequest::default().with_groups_names(vec![GroupId(s("g")); 2]))
            }
            other => panic!("no sample of {other:?}"),
        };
        encoded.unwrap();
        out
    }

    #[test]
    fn what_the_codec_writes_is_walked_to_the_last_byte() {
        for api in APIS.iter().filter(|api| api.key != ApiKey::ApiVersions) {
            for version in api.min..=api.max {
                let bytes = sample(api.key, version);
                let what = format!("{:?} version {version}", api.key);
                assert_eq!(walk(api.body, version, &bytes), Some(&[][..]), "{what}");
                for cut in 0..bytes.len() {
                    assert!(!api.holds(version, &bytes[..cut]), "{what} cut at {cut}");
                }
            }
        }
    }
}
