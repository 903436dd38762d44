//! Faults that can be planted, to show that they are found.

use std::fmt;

/// A fault in the way the machines are driven, each of a kind that was once found in a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Records are settled when they are handed on, not when they arrived.
    CommitBeforeDelivery,
    /// What a member settles is committed after its partition was taken away.
    CommitAfterRevoke,
    /// A commit is sent only if its offset is larger than the last one.
    StepBackIgnored,
    /// Nobody looks whether a topic has another log.
    NewLogUnnoticed,
    /// Work of the log before settles offsets of the new one.
    OldWorkSettlesNewLog,
    /// Leader epochs are not kept, so that a log that was truncated is not noticed.
    EpochForgotten,
    /// Elements that fail are forgotten when a sibling succeeds.
    ElementForgotten,
    /// The place of an item is taken for that of its record.
    WrongRecordBuried,
    /// Memory of records that a rule settles is not given back.
    MemoryKept,
    /// A request that was refused a few times is given up, whatever the receiver does with others.
    BuriedWithoutEvidence,
    /// Something refused makes the destination count as alive.
    RefusalIsLife,
    /// A coordinator that does not answer is taken for one that knows no commit.
    UnknownIsNothing,
    /// The position is sought twice and then no more.
    PositionGivenUp,
    /// A letter counts as written before the disk has it.
    LetterNotSynced,
    /// A letter that could not be written counts as written.
    LetterLost,
    /// A commit that was refused counts as confirmed.
    RefusedIsConfirmed,
    /// A partition without a commit begins at its end, whenever it appeared.
    LaterPartitionSkipped,
    /// Nobody looks at the queue but when woken up.
    OnlyWhenWoken,
    /// Each record goes to a lane of its own.
    LanesForgotten,
    /// Records that wait for their commit do not count as in flight.
    UncommittedUnbounded,
    /// The service is ready whatever its partitions do.
    AlwaysReady,
    /// A revoke does not drain: what is in flight is forgotten and committed.
    RevokeSettlesAll,
}

impl Bug {
    /// All of them, with their names.
    pub(crate) const ALL: [(Self, &'static str); 22] = [
        (Self::CommitBeforeDelivery, "commit-before-delivery"),
        (Self::CommitAfterRevoke, "commit-after-revoke"),
        (Self::StepBackIgnored, "step-back-ignored"),
        (Self::NewLogUnnoticed, "new-log-unnoticed"),
        (Self::OldWorkSettlesNewLog, "old-work-settles-new-log"),
        (Self::EpochForgotten, "epoch-forgotten"),
        (Self::ElementForgotten, "element-forgotten"),
        (Self::WrongRecordBuried, "wrong-record-buried"),
        (Self::MemoryKept, "memory-kept"),
        (Self::BuriedWithoutEvidence, "buried-without-evidence"),
        (Self::RefusalIsLife, "refusal-is-life"),
        (Self::UnknownIsNothing, "unknown-is-nothing"),
        (Self::PositionGivenUp, "position-given-up"),
        (Self::LetterNotSynced, "letter-not-synced"),
        (Self::LetterLost, "letter-lost"),
        (Self::RefusedIsConfirmed, "refused-is-confirmed"),
        (Self::LaterPartitionSkipped, "later-partition-skipped"),
        (Self::OnlyWhenWoken, "only-when-woken"),
        (Self::LanesForgotten, "lanes-forgotten"),
        (Self::UncommittedUnbounded, "uncommitted-unbounded"),
        (Self::AlwaysReady, "always-ready"),
        (Self::RevokeSettlesAll, "revoke-settles-all"),
    ];

    /// The bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(_, own)| *own == name);
        known.map(|(bug, _)| *bug)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ALL.iter().find(|(bug, _)| bug == self);
        f.write_str(own.map_or("", |(_, name)| name))
    }
}
