//! Messages between the parts of a process, and everything else that happens at a moment.

use std::sync::Arc;
use std::time::Instant;

use kafkamq_delivery::answer::{Reply, TransportError};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::lanes::Request;
use kafkamq_record::{BatchId, Epochs, Position, RecordBatch, Resolution, TopicPartition};
use kafkamq_source::commits::{CommitEntry, CommitResult, Confirmed};
use kafkamq_source::lease::{Generation, Lease};
use kafkamq_source::start::Why;
use kafkamq_source::window::{Resend, Token};

use crate::consignment::Consignment;
use crate::convert::Outgoing;
use crate::group::{Order, Session};
use crate::lookup::{Answer, Asked};
use crate::oracle::Origin;
use crate::time::Micros;

/// A part of a process. Each has a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Poll,
    Topic(TopicPartition, Generation),
    Parser(usize, u32),
    Forwarder(usize, u32),
    Letters(u32),
    Supervisor,
    /// The brokers, as this process sees them.
    Brokers,
}

/// Names a process: a seat, and which of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Process {
    pub(crate) seat: usize,
    pub(crate) life: u32,
}

/// Where a partition is read from, and by which right.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) start: Position,
    pub(crate) lease: Option<Lease>,
    pub(crate) why: Why,
}

/// Letters to write, with the places of their records.
pub(crate) struct Bury {
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) records: Vec<u32>,
    pub(crate) consignment: Consignment,
}

/// What a message says.
pub(crate) enum Message {
    // To the poll thread.
    Poll(PollMail),
    // To a topic actor.
    Tick,
    Wake,
    RoomAgain,
    Resolved(BatchId, u32, Resolution),
    ResendDue(Box<Resend>),
    Placed(Placement),
    Committed(Confirmed),
    Drain(bool, Instant, Option<Token>),
    DrainFlush,
    DrainDeadline,
    SetCredits(usize),
    LookAgain(Option<i64>),
    // To a parser.
    Parse(Consignment),
    GoOn(TopicPartition),
    // To a forwarder.
    Forward(Outgoing, Consignment),
    Pump,
    Finished(Box<Request>, Micros, Result<Reply, TransportError>),
    Flush,
    Sweep,
    // To the writer of dead letters.
    Bury(Bury),
    PumpLetters,
    Synced,
    // To the supervisor.
    Restart(Child),
}

/// What the poll thread hears.
pub(crate) enum PollMail {
    Turn,
    Fetch,
    Order(Session, Order),
    SessionLost(Session),
    Committed(Vec<CommitResult>),
    LastCommitted(u64, Result<Vec<CommitResult>, &'static str>),
    Drained(u64),
    Deadline(u64),
    Answer(Answer),
    Statistics,
    Stop,
    Rebuild,
    Connect,
}

/// A part of a process that is started again when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Child {
    Parser(usize),
    Forwarder(usize),
    Letters,
}

/// A request on its way to a receiver.
pub(crate) struct Arrival {
    pub(crate) process: Process,
    pub(crate) forwarder: Place,
    pub(crate) output: usize,
    pub(crate) request: Request,
    pub(crate) sent: Micros,
    /// Where the records of its items came from, item by item.
    pub(crate) origins: Vec<Origin>,
}

/// What happens at a moment.
pub(crate) enum Event {
    /// The choice of this number.
    Act(usize),
    /// All faults are over.
    FaultsEnd,
    /// It is looked whether everything is well.
    Check,
    /// A member starts.
    Start(usize),
    /// A topic is made again.
    Recreated {
        topic: usize,
        records: u16,
        seed: u64,
    },
    /// The group goes one step on.
    Group,
    /// A session is over, unless it is a member's that lives.
    SessionOver(Session),
    To(Process, Place, Message),
    Arrive(Box<Arrival>),
    /// A commit reaches the coordinator.
    Commit {
        process: Process,
        session: Session,
        entries: Vec<CommitEntry>,
        /// Set for the last commit of partitions that go.
        last: Option<u64>,
    },
    /// A member let go of partitions.
    Revoked(Session, Vec<TopicPartition>),
    /// A member leaves.
    Left(Session),
    /// The lookup thread gets what it asked for.
    Lookup(Process, Box<Asked>),
}

/// What the parts of a process say while something else runs: they are put on their way after it.
pub(crate) enum Echo {
    Resolved(TopicPartition, Generation, BatchId, u32, Resolution),
    Room(TopicPartition, Generation),
    GoOn(Place, TopicPartition),
    Drained(u64),
}

impl Echo {
    pub(crate) fn into_message(self) -> (Place, Message) {
        match self {
            Self::Resolved(source, generation, id, piece, how) => (
                Place::Topic(source, generation),
                Message::Resolved(id, piece, how),
            ),
            Self::Room(source, generation) => {
                (Place::Topic(source, generation), Message::RoomAgain)
            }
            Self::GoOn(parser, source) => (parser, Message::GoOn(source)),
            Self::Drained(token) => (Place::Poll, Message::Poll(PollMail::Drained(token))),
        }
    }
}

/// The echoes of one process.
pub(crate) type Echoes = Arc<parking_lot::Mutex<Vec<Echo>>>;

/// Says that a drain is over when its last clone is gone.
pub(crate) struct DrainSignal {
    pub(crate) number: u64,
    pub(crate) echoes: Echoes,
}

impl Drop for DrainSignal {
    fn drop(&mut self) {
        self.echoes.lock().push(Echo::Drained(self.number));
    }
}

/// What a read brought.
pub(crate) struct ReadResult {
    pub(crate) batch: RecordBatch,
    pub(crate) epochs: Epochs,
    pub(crate) end: Option<i64>,
    pub(crate) errors: Vec<&'static str>,
}

/// Everything below an offset is settled, as a holder of a lease says it.
pub(crate) struct SettledUpTo {
    pub(crate) at: Position,
    pub(crate) hurry: bool,
}
