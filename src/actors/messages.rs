//! Every message between actors. Data goes one way, from topic to parser to forwarder; only the
//! acknowledgement comes back. Messages hold no logic.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use actix::Message;
use bytes::Bytes;
use kafkamq_point::{Category, UnknownCategory};

use super::consignment::Consignment;
use super::status::{
    DeadLetterStatus, DestinationStatus, PartitionStatus, ServiceStatus, SuspectStatus,
};
use super::topic::TopicBounds;
use crate::kafka::{Confirmed, Generation, PartitionReader, Placement, Standing, Statistics};
use crate::outputs::Carrier;
use crate::routing::Destination;
use kafkamq_conversion::RecordRules;
use kafkamq_conversion::route::{DestinationId, InputId, Route};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::delivery::Decision;
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::{Item, Pool};
use kafkamq_record::BatchId;
use kafkamq_record::{AckShare, Resolution};
use kafkamq_record::{RecordBatch, TopicPartition};
use kafkamq_source::trouble::Trouble;

/// Poll thread to supervisor: partitions were assigned.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PartitionsAssigned {
    pub(crate) input: InputId,
    pub(crate) generation: Generation,
    pub(crate) readers: Vec<PartitionReader>,
}

/// Poll thread to supervisor: partitions go. All clones of `drained` are dropped when their work in
/// flight is settled, or at the deadline.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PartitionsRevoked {
    pub(crate) input: InputId,
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) lost: bool,
    pub(crate) deadline: Instant,
    pub(crate) drained: SyncSender<()>,
}

/// Poll thread to supervisor: what the client reported.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct InputReport {
    pub(crate) input: InputId,
    pub(crate) statistics: Statistics,
}

/// Poll thread to supervisor: membership changed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct InputJoined {
    pub(crate) input: InputId,
    pub(crate) joined: bool,
}

/// Poll thread to supervisor: the brokers confirmed a commit.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct OffsetsCommitted {
    pub(crate) input: InputId,
    pub(crate) confirmed: Vec<Confirmed>,
}

/// Supervisor to topic: the group remembers everything below an offset.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct Committed(pub(crate) Confirmed);

/// Poll thread to supervisor: where an assigned partition is to be read from.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PartitionPlaced {
    pub(crate) input: InputId,
    pub(crate) source: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) placement: Placement,
}

/// Supervisor to topic: where it is to read from.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Placed(pub(crate) Placement);

/// Poll thread to supervisor: how the partitions stand.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct InputStands {
    pub(crate) input: InputId,
    pub(crate) standing: Standing,
}

/// Anyone to supervisor: an error worth an operator's attention.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct InputFailed {
    pub(crate) input: InputId,
    pub(crate) error: String,
    /// Whether somebody has to act, as with a missing permission.
    pub(crate) held: bool,
    /// What is in the way, if the error tells of that.
    pub(crate) trouble: Option<Trouble>,
}

/// Poll thread to supervisor: the brokers describe these topics.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TopicsDescribed {
    pub(crate) input: InputId,
    pub(crate) topics: Vec<String>,
}

/// Client library, timer: the partition's queue may hold records.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Account to topic: there is room for further records.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct RoomAgain;

/// Supervisor to topic: take nothing more, finish what is in flight, store, stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) lost: bool,
    pub(crate) deadline: Instant,
    pub(crate) drained: SyncSender<()>,
}

/// Supervisor to topic: take nothing more for now. The clone of `settled` is dropped when nothing is in
/// flight any more; what comes back meanwhile is kept until [`Release`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Hold {
    pub(crate) settled: Option<tokio::sync::mpsc::Sender<()>>,
}

/// Supervisor to topic: go on, by the routes in force now.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Release;

/// Supervisor to topic: bounds that the configuration has changed.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct SetBounds(pub(crate) TopicBounds);

/// Supervisor to topic: this partition's part of the memory limit.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct SetCredits {
    pub(crate) bytes: usize,
}

/// Acknowledgement to topic: one piece of a batch ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BatchResolved {
    pub(crate) id: BatchId,
    pub(crate) piece: u32,
    pub(crate) resolution: Resolution,
}

/// Topic to parser: records to be turned into items for destinations.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ParseBatch {
    pub(crate) route: Arc<Route>,
    pub(crate) rules: Arc<RecordRules>,
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) share: AckShare,
}

/// Supervisor to the first parser: send whatever aggregation has gathered, since the end is near.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct SendAggregated;

/// Forwarder to parser: an answer that holds points.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ParseAnswer {
    pub(crate) route: Arc<Route>,
    pub(crate) category: Result<Category, UnknownCategory>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
    /// The records the answer belongs to; they are settled when its points are.
    pub(crate) asked: Vec<(Consignment, u32)>,
}

/// Parser to forwarder: items for one endpoint, all of one lane.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Forward {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) lane: u64,
    /// The pool the lane belongs to, if it does.
    pub(crate) pool: Option<Pool>,
    pub(crate) items: Vec<Item>,
    pub(crate) consignment: Consignment,
}

/// Parser, forwarder, topic to dead letters: records that go no further.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WriteDeadLetter {
    pub(crate) letters: Vec<DeadLetter>,
    /// For each letter, the index of its record in the consignment.
    pub(crate) records: Vec<u32>,
    pub(crate) consignment: Consignment,
}

/// Drop guard of an actor to supervisor: the actor is gone without having been told to.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub(crate) struct ChildStopped {
    pub(crate) child: Child,
}

/// Names an actor that the supervisor owns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Child {
    Topic(InputId, TopicPartition, Generation),
    Parser(usize),
    Forwarder(DestinationId),
    DeadLetter,
}

impl Child {
    /// The label of metrics, from a closed set.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Topic(..) => "topic",
            Self::Parser(_) => "parser",
            Self::Forwarder(_) => "forwarder",
            Self::DeadLetter => "dead_letter",
        }
    }
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Topic(input, source, _) => write!(f, "{kind} {input} {source}"),
            Self::Parser(index) => write!(f, "{kind} {index}"),
            Self::Forwarder(destination) => write!(f, "{kind} {destination}"),
            Self::DeadLetter => f.write_str(kind),
        }
    }
}

/// Supervisor to forwarders: drop what belongs to partitions that were taken away.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Sweep;

/// Supervisor to forwarders: send what waits for more, since a drain waits for it.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Flush;

/// Supervisor to forwarder: the destination's settings changed. With a carrier, whatever is sent from
/// now on takes that one, and the destination counts as up until it shows otherwise.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt {
    pub(crate) destination: Destination,
    pub(crate) carrier: Option<Arc<dyn Carrier>>,
}

/// Supervisor to forwarders: give back what came by older routes of these topics.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub(crate) struct Recall {
    pub(crate) topics: Arc<BTreeSet<(InputId, Arc<str>)>>,
    /// The revision whose routes are the first that may pass.
    pub(crate) revision: u64,
}

/// Supervisor to forwarder: the destination is no longer configured. Answers whether the actor has
/// stopped, which it does when it is idle, or at once with `force`, giving back what it holds.
#[derive(Message, Clone, Copy)]
#[rtype(result = "bool")]
pub(crate) struct Retire {
    pub(crate) force: bool,
}

/// App to supervisor: stop every input (drain, commit, leave). Answers when all have.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown;

/// HTTP routes to supervisor: the state of everything.
#[derive(Message)]
#[rtype(result = "ServiceStatus")]
pub(crate) struct GetStatus;

/// Supervisor to topic.
#[derive(Message)]
#[rtype(result = "PartitionStatus")]
pub(crate) struct GetPartitionStatus;

/// Supervisor to forwarder.
#[derive(Message)]
#[rtype(result = "DestinationStatus")]
pub(crate) struct GetDestinationStatus;

/// Supervisor to dead letters.
#[derive(Message)]
#[rtype(result = "DeadLetterStatus")]
pub(crate) struct GetDeadLetterStatus;

/// HTTP routes to forwarder: what is to become of the suspect that was refused first. Answers which
/// one that was; `None` without one.
#[derive(Message, Clone, Copy)]
#[rtype(result = "Option<SuspectStatus>")]
pub(crate) struct DecideSuspect(pub(crate) Decision);

/// Tests to supervisor: let an actor die as by a defect.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash {
    /// Which; `None` means the first partition's actor.
    pub(crate) child: Option<Child>,
}

/// Supervisor to the actor that is to die.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Die;
