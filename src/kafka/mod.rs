//! Kafka: the only module that knows the client library.
//!
//! * [`client`] turns settings into a client configuration, with the keys that the delivery
//!   contract forces.
//! * `poll_loop` runs one consumer on a thread of its own and rebuilds it when it is beyond
//!   repair.
//! * `context` answers the library's callbacks: rebalances, statistics, errors.
//! * `lookup` asks brokers what takes time, on a thread of its own: positions, topic ids.
//! * `birth_store` keeps since when groups look at topics.
//! * `native` holds calls of the native client that its crate lacks.
//! * `partition` reads batches from one assigned partition.
//! * `producer` writes records and says when brokers have them.
//! * `report` words what clients report while they run.
//! * `reader` reads a range of a topic once, outside any group.
//! * `replay_range` bounds what a consumer outside its group reads and delivers.
//! * `bare` is the loop that the benchmark compares with, `topics` makes the topics for it.
//! * [`dial`] finds out which layer keeps a cluster from being used.
//!
//! What leaves this module are [`PartitionReader`]s and calls of the [`AssignmentListener`].

#[cfg(feature = "demo")]
mod bare;
mod birth_store;
pub(crate) mod client;
mod context;
pub(crate) mod dial;
mod lookup;
mod native;
mod partition;
mod poll_loop;
mod producer;
mod reader;
mod replay_range;
mod report;
mod statistics;
#[cfg(feature = "demo")]
mod topics;

use std::collections::HashMap;
use std::time::Instant;

#[cfg(feature = "demo")]
pub(crate) use bare::read_bare;
pub(crate) use birth_store::BirthStore;
pub(crate) use partition::{PartitionReader, Placement};
pub(crate) use poll_loop::{ConsumerThread, PollOptions, PreparedConsumer, Reading};
pub(crate) use producer::{Outbound, Producer};
use rdkafka::error::RDKafkaErrorCode;
pub(crate) use reader::{StoredRecord, TopicReader};
pub(crate) use replay_range::ReplayRange;
pub(crate) use statistics::Statistics;
#[cfg(feature = "demo")]
pub(crate) use topics::Topics;

use kafkamq_record::{NextOffset, TopicPartition};
pub(crate) use kafkamq_source::commits::{Confirmed, Unconfirmed};
pub(crate) use kafkamq_source::lease::Generation;
pub(crate) use kafkamq_source::positions::Unknown;
pub(crate) use kafkamq_source::start::InitialOffset;
use kafkamq_source::trouble::Trouble;

/// What can go wrong between this process and the brokers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum KafkaError {
    /// A key of the client configuration was refused. The value is not shown: it may be a secret.
    #[error("the client refused `{key}`: {reason}")]
    Configuration {
        /// The client library's name of the key.
        key: String,
        /// Why it was refused.
        reason: String,
    },
    /// A topic name that no broker can have.
    #[error("`{0}` is not a topic name")]
    InvalidTopic(String),
    /// The client does not know the partition.
    #[error("{0} is unknown to the client")]
    UnknownPartition(TopicPartition),
    /// The brokers sent nothing of a partition, although there should be something.
    #[error("the brokers sent nothing of {0} in time")]
    Silent(TopicPartition),
    /// An error reported for one partition.
    #[error("{partition}: {code}: {detail}")]
    Partition {
        /// The partition concerned.
        partition: TopicPartition,
        /// The client library's error code.
        code: RDKafkaErrorCode,
        /// The client library's explanation.
        detail: String,
    },
    /// Something is in the way between this process and the brokers, a topic or the group.
    #[error("{}", .0.text)]
    InTheWay(Trouble),
    /// What the client library reported besides.
    #[error("the client reports: {0}")]
    Reported(String),
    /// Any other error of the client library.
    #[error("{0}")]
    Client(rdkafka::error::KafkaError),
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl KafkaError {
    /// Wraps an error of the client library without ever repeating a configuration value.
    pub(crate) fn from_client(error: rdkafka::error::KafkaError) -> Self {
        match error {
            rdkafka::error::KafkaError::ClientConfig(_, reason, key, _secret) => {
                Self::Configuration { key, reason }
            }
            other => Self::Client(other),
        }
    }

    /// What it means, with what to do about it where that is known.
    fn in_words(&self) -> String {
        self.code()
            .map_or_else(|| self.to_string(), report::meaning)
    }

    /// The error of a client that cannot be made, in the words of `check --connect`.
    pub(crate) fn refusal(&self) -> String {
        match self {
            Self::Configuration { .. } | Self::Client(_) => {
                dial::DialFault::refused(self).to_string()
            }
            other => other.to_string(),
        }
    }

    /// What is in the way, if the error tells of that.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::InTheWay(trouble) => Some(trouble.clone()),
            Self::Partition {
                partition,
                code,
                detail,
            } => report::unreadable(&partition.topic, *code, detail),
            _ => None,
        }
    }

    /// Whether records of a partition may not be read.
    pub(crate) fn is_refused_access(&self) -> bool {
        self.code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    }

    /// The client library's code, if it gave one.
    fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Self::Partition { code, .. } => Some(*code),
            Self::Client(error) => error.rdkafka_error_code(),
            _ => None,
        }
    }

    /// Whether it only says that there are no more records at present.
    fn is_end(&self) -> bool {
        self.code() == Some(RDKafkaErrorCode::PartitionEOF)
    }

    /// Whether the record itself is at fault: no broker will ever take it.
    #[must_use]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self.code(),
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidRecord
                    | RDKafkaErrorCode::InvalidTimestamp
                    | RDKafkaErrorCode::InvalidMessageSize
            )
        )
    }

    /// Whether the topic written to does not exist or cannot.
    #[must_use]
    pub(crate) fn is_unknown_topic(&self) -> bool {
        matches!(
            self.code(),
            Some(
                RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::InvalidTopic
            )
        )
    }

    /// Whether somebody has to act before data flows again: access is refused, or an offset is out
    /// of range and the operator asked to stop there.
    #[must_use]
    pub(crate) fn needs_operator(&self) -> bool {
        if let Self::InTheWay(trouble) = self {
            return trouble.is_alarm;
        }
        matches!(
            self.code(),
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::AutoOffsetReset
            )
        )
    }
}

/// How the partitions of a client stand, about once a second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Assigned partitions whose position is not known.
    pub(crate) unknown: HashMap<TopicPartition, Unknown>,
    /// Partitions whose commits are not confirmed for too long.
    pub(crate) overdue: HashMap<TopicPartition, Unconfirmed>,
    /// Partitions that are read.
    pub(crate) read: HashMap<TopicPartition, PartitionStanding>,
}

/// How one partition stands that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionStanding {
    /// The committed offset, if that is known.
    pub(crate) committed: Option<NextOffset>,
    /// From where on records count as outstanding: the committed offset, or before the first commit
    /// the offset at which reading began.
    pub(crate) basis: NextOffset,
}

/// Hears what the group decides. The methods run on the poll thread inside the client's rebalance
/// callback: the group waits meanwhile.
pub(crate) trait AssignmentListener: Send + Sync {
    /// Partitions were given to this member. Each is read once it is placed.
    fn assigned(&self, generation: Generation, readers: Vec<PartitionReader>);

    /// The position of an assigned partition was found.
    fn placed(&self, source: TopicPartition, generation: Generation, placement: Placement);

    /// Partitions are about to go. Returns when their work in flight is settled and stored, or at
    /// the deadline. With `lost` they are gone already: nothing can be committed any more.
    fn revoked(&self, partitions: Vec<TopicPartition>, lost: bool, deadline: Instant);

    /// The client's statistics, about once a second.
    fn statistics(&self, statistics: Statistics);

    /// The client is connected to its group (`true`), or was created anew and is not yet (`false`).
    fn joined(&self, joined: bool);

    /// Something went wrong that an operator should see. Transport errors repeat while a broker is
    /// away.
    fn error(&self, error: &KafkaError);

    /// The brokers took a commit: the group remembers these offsets.
    fn committed(&self, confirmed: Vec<Confirmed>);

    /// The brokers describe these topics.
    fn described(&self, topics: Vec<String>);

    /// A commit was refused; the next one carries what it would have.
    fn commit_refused(&self, why: &str);

    /// How the partitions stand.
    fn standing(&self, standing: Standing);
}
