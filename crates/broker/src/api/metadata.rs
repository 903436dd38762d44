//! Metadata: the one node, and the topics asked for, created on the way if that is allowed.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::{Call, CodecError, Outcome, code, text};
use crate::shared::{HOST, NODE, Shared};

pub(super) fn answer(call: &Call<'_>, body: Bytes) -> Result<Outcome, CodecError> {
    let request: MetadataRequest = call.decode(body)?;
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && call.version == 0,
    };
    let names = match request.topics {
        Some(topics) if !all => topics
            .into_iter()
            .filter_map(|t| t.name)
            .map(|n| n.to_string())
            .collect(),
        _ => call.shared.topics.names(),
    };
    // Before version 4 clients could not say, and every client meant yes.
    let create = call.version < 4 || request.allow_auto_topic_creation;
    let topics = names.into_iter().map(|name| {
        let partitions = call.unless_faulty(|| find(call, &name, create));
        topic(&name, partitions)
    });
    let node = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE))
        .with_host(text(HOST))
        .with_port(i32::from(call.shared.port()));
    let response = MetadataResponse::default()
        .with_brokers(vec![node])
        .with_cluster_id(Some(text("kafkamq-embedded")))
        .with_controller_id(BrokerId(NODE))
        .with_topics(topics.collect());
    call.reply(&response)
}

/// Number of partitions of a topic.
fn find(call: &Call<'_>, name: &str, create: bool) -> Result<i32, ResponseError> {
    let Shared {
        topics, options, ..
    } = call.shared;
    if let Some(partitions) = topics.partitions(name) {
        return Ok(partitions);
    }
    if !(create && options.auto_create_topics) {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    topics.create(name, options.default_partitions)?;
    Ok(options.default_partitions)
}

fn topic(name: &str, partitions: Result<i32, ResponseError>) -> MetadataResponseTopic {
    let node = || vec![BrokerId(NODE)];
    let error = code(&partitions);
    let partitions = (0..partitions.unwrap_or(0)).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(NODE))
            .with_leader_epoch(0)
            .with_replica_nodes(node())
            .with_isr_nodes(node())
    });
    MetadataResponseTopic::default()
        .with_error_code(error)
        .with_name(Some(TopicName(text(name))))
        .with_partitions(partitions.collect())
}
