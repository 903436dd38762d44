//! What can go wrong on the in-process side of the broker.

use std::io;

use kafka_protocol::ResponseError;

/// Why a call on a [`Broker`](crate::Broker) failed.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The port could not be bound.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for, 0 for any.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The broker's thread or its runtime could not be started.
    #[error("cannot start the broker's thread")]
    Start(#[source] io::Error),
    /// The broker has been stopped, or its thread has ended.
    #[error("the broker is stopped")]
    Stopped,
    /// There is no such topic, or it has fewer partitions.
    #[error("unknown topic or partition {topic}/{partition}")]
    UnknownPartition {
        /// Name of the topic.
        topic: String,
        /// Index of the partition.
        partition: i32,
    },
    /// There is no such group, or no such member in it.
    #[error("unknown group or member {group}/{member}")]
    UnknownMember {
        /// Name of the group.
        group: String,
        /// Member id, or the static instance id that was given.
        member: String,
    },
    /// A rule of the protocol forbids it, in the words clients would get.
    #[error("refused: {0}")]
    Refused(ResponseError),
    /// A stored batch could not be read back as records.
    #[error("cannot decode the batch at offset {offset}")]
    Decode {
        /// First offset of the batch.
        offset: i64,
        /// What is wrong with it.
        #[source]
        source: BatchError,
    },
}

/// Why bytes are not a record batch this broker can keep or read.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("batch is cut off")]
    Truncated,
    /// Only the current format (magic 2, since Kafka 0.11) is spoken.
    #[error("batch has format {0}, not 2")]
    Magic(i8),
    /// The checksum does not match the content.
    #[error("batch checksum is wrong")]
    Checksum,
    /// Counts, lengths or deltas contradict each other.
    #[error("batch is malformed")]
    Malformed,
    /// The codec number is not one of Kafka's five.
    #[error("unknown compression codec {0}")]
    Codec(i16),
    /// The compressed part does not decompress.
    #[error("batch does not decompress")]
    Compression(#[source] io::Error),
}
