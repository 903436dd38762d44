//! How records end.

/// How a record ended. The outcomes of all records received add up to the settled ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A destination accepted everything made from it.
    Delivered,
    /// Left out by the sampling rate.
    Sampled,
    /// Dropped by its script.
    Dropped,
    /// Dropped by the header check.
    HeaderRejected,
    /// A tombstone or empty value that the policy skips.
    SkippedEmpty,
    /// Its topic has no use at the destination (SkyWalking managements and meters).
    Acknowledged,
    /// Dropped because a status rule of the operator says so.
    DroppedByStatus,
    /// Written to the dead letters.
    DeadLettered,
    /// Handed to an output that is not required, which is all that waited for it.
    NotRequired,
}

impl Outcome {
    /// All outcomes, so that series exist before the first event.
    pub const ALL: [Self; 9] = [
        Self::Delivered,
        Self::Sampled,
        Self::Dropped,
        Self::HeaderRejected,
        Self::SkippedEmpty,
        Self::Acknowledged,
        Self::DroppedByStatus,
        Self::DeadLettered,
        Self::NotRequired,
    ];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Sampled => "sampled",
            Self::Dropped => "dropped",
            Self::HeaderRejected => "header_rejected",
            Self::SkippedEmpty => "skipped_empty",
            Self::Acknowledged => "acknowledged",
            Self::DroppedByStatus => "dropped_by_status",
            Self::DeadLettered => "dead_lettered",
            Self::NotRequired => "not_required",
        }
    }
}
